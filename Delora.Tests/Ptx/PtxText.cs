namespace Delora.Tests.Ptx;

/// <summary>The state space of a variable.</summary>
internal enum PtxSpace { Register, Global, Constant, Shared, Local, Parameter, Generic }

/// <summary>A declared variable. Registers have a size of one element; <c>Length</c> is null where an array's length is left to the launch.</summary>
internal sealed record PtxVariable(string Name, PtxSpace Space, PtxType Type, int Vector, int Alignment, long? Length, bool IsArray, int Line)
{
    /// <summary>What a global or constant variable begins with, else null.</summary>
    internal byte[]? Initial { get; init; }

    /// <summary>Set where the variable lives, when the program is laid out: a register's slot, else an address in its space.</summary>
    internal ulong Address { get; set; }

    /// <summary>Whether this is a parameter of an entry, which all threads share.</summary>
    internal bool IsEntryParameter { get; init; }

    internal long ByteLength => checked((Length ?? 0) * Type.Size() * Vector);
}

/// <summary>Names of a pair of braces; what is not found is looked for outside.</summary>
internal sealed class PtxScope(PtxScope? parent)
{
    private readonly Dictionary<string, PtxVariable> _variables = [];
    private readonly Dictionary<string, int> _labels = [];
    private readonly Dictionary<string, string[]> _targets = [];

    internal bool Add(PtxVariable variable) => _variables.TryAdd(variable.Name, variable);

    internal bool AddLabel(string name, int index) => _labels.TryAdd(name, index);

    internal bool AddTargets(string name, string[] labels) => _targets.TryAdd(name, labels);

    internal PtxVariable? Find(string name) => _variables.TryGetValue(name, out PtxVariable? found) ? found : parent?.Find(name);

    internal int? FindLabel(string name) => _labels.TryGetValue(name, out int found) ? found : parent?.FindLabel(name);

    internal string[]? FindTargets(string name) => _targets.TryGetValue(name, out string[]? found) ? found : parent?.FindTargets(name);
}

/// <summary>The forms of an operand.</summary>
internal enum PtxOperandKind { Name, Integer, Float, Vector, Address, List, Pair, Sink }

/// <summary>
/// An operand as it is written: a name with an offset, a number, <c>{a, b}</c>, <c>[a+4]</c> or <c>[a, {x, y}]</c> (the parts are what stands in the
/// brackets), <c>(a, b)</c> or <c>p|q</c>.
/// </summary>
internal sealed record PtxOperand(PtxOperandKind Kind, string Name, ulong Bits, long Offset, bool Negated, PtxOperand[] Parts)
{
    public override string ToString() => Kind switch
    {
        PtxOperandKind.Vector => $"{{{string.Join(", ", (object[])Parts)}}}",
        PtxOperandKind.Address => $"[{string.Join(", ", (object[])Parts)}]",
        PtxOperandKind.List => $"({string.Join(", ", (object[])Parts)})",
        PtxOperandKind.Pair => $"{Parts[0]}|{Parts[1]}",
        _ => (Negated ? "!" : "") + Name + (Offset == 0 ? "" : Offset.ToString("+0;-0", System.Globalization.CultureInfo.InvariantCulture)),
    };
}

/// <summary>An instruction as it is written, with the scope it stands in.</summary>
internal sealed record PtxInstruction(string Opcode, PtxOperand[] Operands, PtxOperand? Guard, PtxScope Scope, int Line)
{
    public override string ToString() => $"{Opcode} {string.Join(", ", (object[])Operands)}";
}

/// <summary>An entry or a function.</summary>
internal sealed class PtxFunction
{
    internal required string Name { get; init; }
    internal required bool IsEntry { get; init; }
    internal List<PtxVariable> Results { get; } = [];
    internal List<PtxVariable> Parameters { get; } = [];
    internal List<PtxVariable> Variables { get; } = [];
    internal List<PtxInstruction> Instructions { get; } = [];
    internal bool HasBody { get; set; }

    /// <summary>The most threads of a group that the text allows (<c>.maxntid</c>), or exactly so many (<c>.reqntid</c>).</summary>
    internal long? MaxThreads { get; set; }

    internal long? RequiredThreads { get; set; }
}

/// <summary>A PTX text.</summary>
internal sealed class PtxModuleText
{
    internal required string Name { get; init; }
    internal double Version { get; set; }
    internal string Target { get; set; } = "";
    internal Dictionary<string, PtxFunction> Functions { get; } = [];
    internal List<PtxVariable> Variables { get; } = [];
    internal PtxScope Scope { get; } = new(null);
}
