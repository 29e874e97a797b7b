namespace Delora.Tests.Ptx;

/// <summary>Lays out the variables of an entry and of the functions of its text, and decodes their instructions.</summary>
internal sealed class PtxAssembler
{
    private readonly PtxModuleText _module;
    private readonly Dictionary<int, string> _names = [];
    private readonly List<string> _predicates = [];
    private readonly Dictionary<ulong, int> _constantSlots = [];
    private readonly Dictionary<string, int> _specialSlots = [];
    private readonly Dictionary<string, int> _starts = [];
    private readonly Dictionary<string, int> _numbers = [];
    private readonly List<PtxFunction> _functions;
    private long _shared, _local, _parameters;
    private int _slots;

    private PtxAssembler(PtxModuleText module, PtxFunction entry)
    {
        _module = module;
        Entry = entry;
        _functions = [entry, .. module.Functions.Values.Where(function => !function.IsEntry && function.HasBody)];
    }

    internal PtxFunction Entry { get; }

    /// <exception cref="PtxSyntaxFault">An instruction is not known, or its operands do not fit.</exception>
    internal static PtxProgram Compile(PtxModuleText module, PtxFunction entry) => new PtxAssembler(module, entry).Run();

    private PtxProgram Run()
    {
        // What the launch sizes comes behind what has a size.
        IEnumerable<PtxVariable> variables = _module.Variables.Concat(_functions.SelectMany(function => function.Variables));
        PtxVariable[] shared = [.. variables.Where(variable => variable.Space == PtxSpace.Shared)];
        foreach (PtxVariable variable in shared.Where(variable => variable.Length is not null)) Place(variable);
        long end = _shared;
        foreach (PtxVariable variable in shared.Where(variable => variable.Length is null))
            variable.Address = PtxSharedMemory.Start + (ulong)(_shared = Align(_shared, Math.Max(16, variable.Alignment)));
        foreach (PtxFunction function in _functions)
            foreach (PtxVariable variable in function.Results.Concat(function.Parameters).Concat(function.Variables))
                if (variable.Space != PtxSpace.Shared) Place(variable);
        int start = 0;
        foreach (PtxFunction function in _functions)
        {
            _numbers[function.Name] = _starts.Count;
            _starts[function.Name] = start;
            start += function.Instructions.Count + 1;
        }
        var ops = new List<PtxOp>();
        foreach (PtxFunction function in _functions)
        {
            foreach (PtxInstruction instruction in function.Instructions) ops.Add(new PtxDecoder(this, function, instruction).Decode());
            ops.Add(ControlInstructions.EndOf(this, function));
        }
        return new PtxProgram
        {
            Name = $"{_module.Name}: {Entry.Name}",
            Entry = Entry,
            Ops = [.. ops],
            Slots = _slots,
            Names = _names,
            PredicateNames = [.. _predicates],
            Constants = [.. _constantSlots.Select(pair => (pair.Value, pair.Key))],
            Specials = [.. _specialSlots.Select(pair => (pair.Value, pair.Key))],
            FunctionCount = _functions.Count,
            SharedBytes = checked((int)Math.Max(end, _shared)),
            LocalBytes = checked((int)_local),
            ParameterBytes = checked((int)_parameters),
        };
    }

    private static long Align(long value, int alignment) => (value + alignment - 1) / alignment * alignment;

    private void Place(PtxVariable variable)
    {
        switch (variable.Space)
        {
            case PtxSpace.Register when variable.Type == PtxType.Pred:
                variable.Address = (ulong)_predicates.Count;
                _predicates.Add(variable.Name);
                break;
            case PtxSpace.Register:
                variable.Address = (ulong)Slot(variable.Name);
                break;
            case PtxSpace.Shared:
                _shared = Align(_shared, variable.Alignment);
                variable.Address = PtxSharedMemory.Start + (ulong)_shared;
                _shared += variable.ByteLength;
                break;
            case PtxSpace.Parameter when variable.IsEntryParameter:
                _parameters = Align(_parameters, variable.Alignment);
                variable.Address = (ulong)_parameters;
                _parameters += variable.ByteLength;
                break;
            case PtxSpace.Local or PtxSpace.Parameter:
                _local = Align(_local, Math.Max(variable.Alignment, 8));
                variable.Address = (ulong)_local;
                _local += variable.ByteLength;
                break;
            default:
                throw new PtxSyntaxFault($"{_module.Name}, line {variable.Line}: '{variable.Name}' cannot stand in a function");
        }
    }

    private int Slot(string name)
    {
        _names[_slots] = name;
        return _slots++;
    }

    /// <summary>A slot that holds these bits.</summary>
    internal int Constant(ulong bits)
    {
        if (!_constantSlots.TryGetValue(bits, out int slot)) _constantSlots[bits] = slot = Slot($"0x{bits:x}");
        return slot;
    }

    /// <summary>The slot of a special register.</summary>
    internal int Special(string name)
    {
        if (!_specialSlots.TryGetValue(name, out int slot)) _specialSlots[name] = slot = Slot(name);
        return slot;
    }

    /// <summary>A slot for results that nobody wants.</summary>
    internal int Scratch() => Slot("_");

    internal int ScratchPredicate()
    {
        _predicates.Add("_");
        return _predicates.Count - 1;
    }

    internal PtxFunction? Function(string name) => _functions.Find(function => function.Name == name);

    internal int Start(PtxFunction function) => _starts[function.Name];

    internal int Number(PtxFunction function) => _numbers[function.Name];

    internal PtxSyntaxFault Error(int line, string message) => new($"{_module.Name}, line {line}: {message}");
}
