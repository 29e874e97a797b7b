using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Delora.Kernels;

namespace Delora.Tests.Ptx;

/// <summary>
/// A workbench for tests: arrays as global memory of exactly their length, and launches with arguments as a person writes them. An argument is a number, or
/// an array of the bench: alone it is a pointer, in <see cref="View"/> it is ILGPU's pair of pointer and length.
/// </summary>
internal sealed unsafe class PtxBench
{
    private readonly List<PtxRange> _ranges = [];

    internal PtxBench(PtxOptions? options = null, PtxTarget? target = null) =>
        Machine = new PtxMachine(target ?? PtxMachineDriver.Hopper, () => _ranges, null, options);

    internal PtxMachine Machine { get; }

    /// <summary>An argument that is ILGPU's view of an array.</summary>
    internal readonly record struct View(PtxArray Of);

    /// <summary>New global memory, aligned as a card's.</summary>
    internal PtxArray<T> Array<T>(int length) where T : unmanaged
    {
        var array = new PtxArray<T>(length);
        _ranges.Add(new(array.Address, array.Address + (ulong)(length * sizeof(T))));
        return array;
    }

    /// <summary>New global memory with that in it.</summary>
    internal PtxArray<T> Array<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        PtxArray<T> array = Array<T>(values.Length);
        values.CopyTo(array.Span);
        return array;
    }

    internal void Launch(string text, PtxLaunch launch, params object[] arguments) => Launch(text, null, launch, arguments);

    /// <summary>Loads a text and runs an entry of it, the only one if <paramref name="entry"/> is null.</summary>
    internal void Launch(string text, string? entry, PtxLaunch launch, params object[] arguments)
    {
        PtxLoadedText loaded = Machine.Load("test", text);
        try
        {
            PtxEntry found = loaded.Entry(entry ?? loaded.EntryNames.Single());
            found.Launch(launch, Pack(found.Program.Entry, arguments));
        }
        finally
        {
            loaded.Unload();
        }
    }

    /// <summary>A launch of so many groups of so many threads.</summary>
    internal static PtxLaunch Shape(int groups, int threads, int dynamicShared = 0) => new(groups, 1, 1, threads, 1, 1, dynamicShared);

    /// <summary>The bytes of the arguments, laid out as the entry declares them.</summary>
    internal byte[] Pack(PtxFunction entry, object[] arguments)
    {
        Assert.Equal(entry.Parameters.Count, arguments.Length);
        var bytes = new List<byte>();
        for (int i = 0; i < arguments.Length; i++)
        {
            PtxVariable parameter = entry.Parameters[i];
            while (bytes.Count % parameter.Alignment != 0) bytes.Add(0);
            byte[] value = Value(arguments[i]);
            Assert.True(value.Length == parameter.ByteLength, $"{parameter.Name} has {parameter.ByteLength} bytes, and {arguments[i]} has {value.Length}");
            bytes.AddRange(value);
        }
        return [.. bytes];
    }

    private byte[] Value(object argument)
    {
        if (argument is View view) return [.. BitConverter.GetBytes(view.Of.Address), .. BitConverter.GetBytes((long)view.Of.Length)];
        if (argument is PtxArray array) return BitConverter.GetBytes(array.Address);
        byte[] bytes = new byte[Marshal.SizeOf(argument)];
        fixed (byte* start = bytes) Marshal.StructureToPtr(argument, (nint)start, false);
        return bytes;
    }

    /// <summary>A text of one entry <c>k</c> with pointers <c>a</c>, <c>b</c>, … as parameters and in the registers of these names.</summary>
    internal static string Text(string pointers, string body, string target = "sm_90", string before = "")
    {
        string parameters = string.Join(", ", pointers.Select(name => $".param .u64 p_{name}"));
        string loads = string.Concat(pointers.Select(name => $"    .reg .b64 {name};\n    ld.param.u64 {name}, [p_{name}];\n"));
        return string.Create(CultureInfo.InvariantCulture,
            $".version 8.4\n.target {target}\n.address_size 64\n{before}\n.visible .entry k({parameters})\n{{\n{loads}{body}\n}}\n");
    }
}

/// <summary>An array in the machine's global memory.</summary>
internal abstract class PtxArray
{
    internal ulong Address { get; private protected init; }

    internal int Length { get; private protected init; }
}

/// <inheritdoc/>
internal sealed unsafe class PtxArray<T> : PtxArray where T : unmanaged
{
    private const int Alignment = 256;
    private readonly byte[] _bytes;

    internal PtxArray(int length)
    {
        _bytes = GC.AllocateArray<byte>(length * sizeof(T) + Alignment, pinned: true);
        ulong start = (ulong)Unsafe.AsPointer(ref _bytes[0]);
        Address = (start + Alignment - 1) / Alignment * Alignment;
        Length = length;
    }

    internal Span<T> Span => new((void*)Address, Length);

    internal ref T this[int index] => ref Span[index];
}
