using System.Globalization;

namespace Delora.Kernels.Ptx;

// Memory: parameters, shared memory, loads and stores, barriers.
internal sealed partial class PtxWriter
{
    private const string SharedName = "shared_memory";
    private const int SharedAlignment = 1024;

    /// <summary>The next parameter: an address in global memory, of data that are aligned to so many bytes.</summary>
    internal B64 Pointer(string name, int alignment = 4)
    {
        string declaration = string.Create(CultureInfo.InvariantCulture, $".u64 .ptr .global .align {alignment} param_{name}");
        _parameters.Add(declaration);
        return Result<B64>("ld.param.b64", $"[param_{name}]").As(name);
    }

    /// <summary>The next parameter: a long number.</summary>
    internal B64 LongParameter(string name)
    {
        _parameters.Add($".b64 param_{name}");
        return Result<B64>("ld.param.b64", $"[param_{name}]").As(name);
    }

    /// <summary>The next parameter: a number.</summary>
    internal B32 Parameter(string name)
    {
        _parameters.Add($".b32 param_{name}");
        return Result<B32>("ld.param.b32", $"[param_{name}]").As(name);
    }

    /// <summary>The next parameter: a float.</summary>
    internal F32 FloatParameter(string name)
    {
        _parameters.Add($".f32 param_{name}");
        return Result<F32>("ld.param.f32", $"[param_{name}]").As(name);
    }

    /// <summary>The next parameter: bytes whose address the kernel takes, such as a tensor map. Gives the parameter's name.</summary>
    internal string BytesParameter(string name, int byteLength, int alignment)
    {
        string declaration = string.Create(CultureInfo.InvariantCulture, $".align {alignment} .b8 param_{name}[{byteLength}]");
        _parameters.Add(declaration);
        return $"param_{name}";
    }

    /// <summary>Lays out the next piece of the group's shared memory.</summary>
    internal PtxShared Shared(string name, int byteLength, int alignment = 128)
    {
        if (alignment > SharedAlignment || byteLength <= 0)
            throw new ArgumentOutOfRangeException(nameof(alignment), $"{name}: {byteLength} bytes at {alignment}");
        PtxShared piece = new(name, Aligned(_sharedBytes, alignment), byteLength);
        _sharedBytes = checked(piece.Offset + byteLength);
        _shared.Add(piece);
        return piece;
    }

    /// <summary>A piece of memory that an earlier one no longer needs: the same bytes under another name.</summary>
    internal PtxShared SharedAgain(string name, PtxShared earlier, int byteLength)
    {
        PtxShared piece = new(name, earlier.Offset, byteLength);
        _sharedBytes = Math.Max(_sharedBytes, checked(piece.Offset + byteLength));
        _shared.Add(piece);
        return piece;
    }

    /// <summary>The address of a piece of shared memory.</summary>
    internal B32 AddressOf(PtxShared piece) => (SharedBase() + piece.Offset).As($"{piece.Name}_shared");

    /// <summary>The address where the group's shared memory begins; to be asked for first in the outermost scope.</summary>
    internal B32 SharedBase() => _sharedBase ??= Result<B32>("mov.u32", SharedName).As("shared");

    /// <summary>Loads from global memory; several registers are one wide load, whose address is a multiple of its length.</summary>
    internal void LoadGlobal(PtxAddress from, params PtxRegister[] to) => Emit($"ld.global{Wide(to)}", Braced(to), from);

    /// <summary>The same, of data that nothing writes while the kernel runs.</summary>
    internal void LoadConstant(PtxAddress from, params PtxRegister[] to) => Emit($"ld.global.nc{Wide(to)}", Braced(to), from);

    /// <summary>Stores to global memory; several registers are one wide store.</summary>
    internal void StoreGlobal(PtxAddress to, params PtxRegister[] from) => Emit($"st.global{Wide(from)}", to, Braced(from));

    /// <summary>Loads from shared memory; several registers are one wide load.</summary>
    internal void LoadShared(PtxAddress from, params PtxRegister[] to) => Emit($"ld.shared{Wide(to)}", Braced(to), from);

    /// <summary>Stores to shared memory; several registers are one wide store.</summary>
    internal void StoreShared(PtxAddress to, params PtxRegister[] from) => Emit($"st.shared{Wide(from)}", to, Braced(from));

    /// <summary>Waits for all threads of the group; what they wrote to shared memory before can be read after.</summary>
    internal void Barrier() => Emit("bar.sync", 0);

    private static int Aligned(int offset, int alignment) => checked(offset + alignment - 1) / alignment * alignment;

    private static string Wide(PtxRegister[] registers) => registers.Length switch
    {
        1 => $".{registers[0].Type}",
        2 or 4 => string.Create(CultureInfo.InvariantCulture, $".v{registers.Length}.{registers[0].Type}"),
        _ => throw new ArgumentException($"PTX has no vectors of {registers.Length}", nameof(registers)),
    };

    private static PtxOperand Braced(PtxRegister[] registers) => registers.Length == 1 ? (PtxOperand)registers[0] : registers;
}
