using System.Globalization;
using System.Runtime.CompilerServices;
using Delora.Kernels;

namespace Delora.Tests.Ptx;

/// <summary>
/// A card that is interpreted, and stricter than any: it loads PTX texts and runs their entries, group after group, on memory of the host.
/// </summary>
internal sealed class PtxMachine
{
    private readonly List<PtxLoadedText> _texts = [];

    /// <param name="target">The card.</param>
    /// <param name="allocations">All memory that kernels may access.</param>
    /// <param name="version">Another number when that has changed; null: it is asked for at every launch.</param>
    /// <param name="options">What is checked.</param>
    internal PtxMachine(PtxTarget target, Func<IEnumerable<PtxRange>> allocations, Func<long>? version = null, PtxOptions? options = null)
    {
        Target = target;
        Options = options ?? new PtxOptions();
        Memory = new PtxMemory(() => AllRanges(allocations), version);
    }

    internal PtxTarget Target { get; }

    internal PtxOptions Options { get; }

    /// <summary>The global memory, that of the texts' variables included.</summary>
    internal PtxMemory Memory { get; }

    /// <summary>Parses a text and gives its global variables their memory.</summary>
    /// <exception cref="PtxFault">The text is not PTX that the machine knows, or asks for another card.</exception>
    internal PtxLoadedText Load(string name, string text)
    {
        PtxModuleText module = PtxParser.Parse(name, text);
        if (Math.Round(module.Version * 10) > Target.PtxVersion)
            throw new PtxLimitFault($"{name}: the text is PTX {module.Version}, and the driver reads up to {Target.PtxVersion / 10}.{Target.PtxVersion % 10}");
        string number = module.Target.Replace("sm_", "", StringComparison.Ordinal);
        bool isExact = number.EndsWith('a');
        if (!int.TryParse(number.TrimEnd('a'), NumberStyles.None, CultureInfo.InvariantCulture, out int capability)
            || (isExact ? capability != Target.ComputeCapability : capability > Target.ComputeCapability))
            throw new PtxLimitFault($"{name}: the text is for '{module.Target}', and the card is sm_{Target.ComputeCapability}");
        var loaded = new PtxLoadedText(this, module);
        lock (_texts) _texts.Add(loaded);
        return loaded;
    }

    internal void Unload(PtxLoadedText text)
    {
        lock (_texts) _texts.Remove(text);
    }

    private IEnumerable<PtxRange> AllRanges(Func<IEnumerable<PtxRange>> allocations)
    {
        lock (_texts) return [.. allocations(), .. _texts.SelectMany(text => text.Ranges)];
    }
}

/// <summary>A text in the machine, with the memory of its global variables.</summary>
internal sealed class PtxLoadedText
{
    private readonly PtxMachine _machine;
    private readonly PtxModuleText _module;
    private readonly List<byte[]> _arrays = [];
    private readonly Dictionary<string, PtxEntry> _entries = [];

    internal unsafe PtxLoadedText(PtxMachine machine, PtxModuleText module)
    {
        _machine = machine;
        _module = module;
        foreach (PtxVariable variable in module.Variables.Where(variable => variable.Space is PtxSpace.Global or PtxSpace.Constant))
        {
            byte[] bytes = GC.AllocateArray<byte>(checked((int)variable.ByteLength + variable.Alignment), pinned: true);
            ulong start = (ulong)Unsafe.AsPointer(ref bytes[0]), alignment = (ulong)variable.Alignment;
            start = (start + alignment - 1) / alignment * alignment;
            variable.Initial?.CopyTo(bytes, (int)(start - (ulong)Unsafe.AsPointer(ref bytes[0])));
            variable.Address = start;
            _arrays.Add(bytes);
            Ranges.Add(new(start, start + (ulong)variable.ByteLength, variable.Space == PtxSpace.Global));
        }
    }

    internal List<PtxRange> Ranges { get; } = [];

    internal IEnumerable<string> EntryNames => _module.Functions.Values.Where(function => function.IsEntry).Select(function => function.Name);

    /// <summary>An entry, decoded when it is first asked for.</summary>
    /// <exception cref="PtxFault">There is none of that name, or it has an instruction that the machine does not know.</exception>
    internal PtxEntry Entry(string name)
    {
        lock (_entries)
        {
            if (_entries.TryGetValue(name, out PtxEntry? known)) return known;
            if (!_module.Functions.TryGetValue(name, out PtxFunction? function) || !function.IsEntry)
                throw new PtxLimitFault($"{_module.Name}: there is no entry '{name}' but {string.Join(", ", EntryNames)}");
            return _entries[name] = new PtxEntry(_machine, PtxAssembler.Compile(_module, function));
        }
    }

    internal void Unload() => _machine.Unload(this);
}

/// <summary>An entry that can be launched.</summary>
internal sealed class PtxEntry(PtxMachine machine, PtxProgram program)
{
    private readonly Lock _lock = new();
    private PtxGroup? _group;

    internal PtxProgram Program { get; } = program;

    /// <summary>Runs all groups of a launch, x first.</summary>
    /// <exception cref="PtxFault">The launch is refused, or a thread does what the machine refuses.</exception>
    internal void Launch(PtxLaunch launch, ReadOnlySpan<byte> parameters)
    {
        var shape = new PtxLaunchShape(launch.GroupX, launch.GroupY, launch.GroupZ, launch.GridX, launch.GridY, launch.GridZ);
        Check(launch, shape, parameters.Length);
        lock (_lock)
        {
            if (_group is null || _group.Shape != shape || _group.DynamicSharedBytes != launch.DynamicSharedBytes)
                _group = new PtxGroup(Program, shape, launch.DynamicSharedBytes, machine.Options);
            parameters.CopyTo(_group.Parameters);
            machine.Memory.Refresh();
            _group.Memory = machine.Memory;
            for (int z = 0; z < launch.GridZ; z++)
                for (int y = 0; y < launch.GridY; y++)
                    for (int x = 0; x < launch.GridX; x++) _group.Run(x, y, z);
        }
    }

    private void Check(PtxLaunch launch, PtxLaunchShape shape, int parameterBytes)
    {
        PtxTarget target = machine.Target;
        int[] sizes = [launch.GridX, launch.GridY, launch.GridZ, launch.GroupX, launch.GroupY, launch.GroupZ];
        if (sizes.Any(size => size <= 0) || launch.GridY > 65535 || launch.GridZ > 65535 || launch.GroupZ > 64 || launch.DynamicSharedBytes < 0)
            throw Refused($"the sizes {launch} are not possible");
        if (shape.Threads > target.MaxThreads) throw Refused($"{shape.Threads} threads in a group, and {target.MaxThreads} are possible");
        if (shape.Threads > (Program.Entry.MaxThreads ?? int.MaxValue)) throw Refused($"{shape.Threads} threads in a group, and .maxntid allows {Program.Entry.MaxThreads}");
        if (Program.Entry.RequiredThreads is { } required && shape.Threads != required) throw Refused($"{shape.Threads} threads in a group, and .reqntid says {required}");
        if (Program.SharedBytes > 48 << 10) throw Refused($"{Program.SharedBytes} bytes of static shared memory, and 49152 are possible");
        long shared = (long)Program.SharedBytes + launch.DynamicSharedBytes;
        if (shared > target.MaxSharedBytes) throw Refused($"{shared} bytes of shared memory, and {target.MaxSharedBytes} are possible");
        if (launch.ClusterX != 1) throw Refused("only clusters of one group are known");
        if (parameterBytes != Program.ParameterBytes) throw Refused($"{parameterBytes} bytes of parameters, and the text declares {Program.ParameterBytes}");
    }

    private PtxLimitFault Refused(string reason) => new($"{Program.Name}: the launch is refused: {reason}");
}
