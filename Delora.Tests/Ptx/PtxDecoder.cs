namespace Delora.Tests.Ptx;

/// <summary>
/// One instruction being decoded. The families of instructions take modifiers and operands from it; what nobody takes is an error, so that no modifier is
/// skipped.
/// </summary>
internal sealed partial class PtxDecoder
{
    private static readonly Dictionary<string, Func<PtxDecoder, PtxOp>> s_families = new Func<IEnumerable<(string, Func<PtxDecoder, PtxOp>)>>[]
    {
        ArithmeticInstructions.All, FloatInstructions.All, ApproximateInstructions.All, BitInstructions.All, CompareInstructions.All,
        ConvertInstructions.All, MoveInstructions.All, MemoryInstructions.All, AtomicInstructions.All, ControlInstructions.All,
        BarrierInstructions.All, WarpInstructions.All, MatrixInstructions.All, TensorInstructions.All, CopyInstructions.All,
        BarrierObjectInstructions.All, WarpgroupInstructions.All,
    }.SelectMany(family => family()).ToDictionary();

    private readonly string[] _modifiers;
    private readonly bool[] _taken;
    private readonly PtxInstruction _instruction;

    internal PtxDecoder(PtxAssembler compiler, PtxFunction function, PtxInstruction instruction)
    {
        Compiler = compiler;
        Function = function;
        _instruction = instruction;
        string[] parts = instruction.Opcode.Split('.');
        Root = parts[0];
        _modifiers = parts[1..];
        _taken = new bool[_modifiers.Length];
    }

    internal PtxAssembler Compiler { get; }

    /// <summary>The function that the instruction stands in.</summary>
    internal PtxFunction Function { get; }

    /// <summary>The opcode without modifiers.</summary>
    internal string Root { get; }

    internal PtxOperand[] Operands => _instruction.Operands;

    internal PtxScope Scope => _instruction.Scope;

    internal PtxOp Decode()
    {
        if (!s_families.TryGetValue(Root, out Func<PtxDecoder, PtxOp>? family)) throw Error("the instruction is not known");
        PtxOp op = family(this);
        for (int i = 0; i < _taken.Length; i++)
            if (!_taken[i]) throw Error($"the modifier .{_modifiers[i]} is not known here");
        op.Line = _instruction.Line;
        op.Text = _instruction.ToString();
        if (_instruction.Guard is { } guard)
        {
            op.Guard = PredicateOf(guard);
            op.GuardNegated = guard.Negated;
        }
        return op;
    }

    internal PtxSyntaxFault Error(string message) => Compiler.Error(_instruction.Line, $"{message}: {_instruction}");

    /// <summary>Takes a modifier if it is there.</summary>
    internal bool Flag(string modifier)
    {
        for (int i = 0; i < _modifiers.Length; i++)
            if (!_taken[i] && _modifiers[i] == modifier) return _taken[i] = true;
        return false;
    }

    /// <summary>Takes the one of these modifiers that is there, or null.</summary>
    internal string? OneOf(params ReadOnlySpan<string> modifiers)
    {
        foreach (string modifier in modifiers)
            if (Flag(modifier)) return modifier;
        return null;
    }

    /// <summary>Takes a modifier that must be there.</summary>
    internal void Need(string modifier)
    {
        if (!Flag(modifier)) throw Error($"the modifier .{modifier} is missing");
    }

    /// <summary>Takes the next type among the modifiers.</summary>
    internal PtxType Type()
    {
        for (int i = 0; i < _modifiers.Length; i++)
            if (!_taken[i] && PtxTypes.Parse(_modifiers[i]) is { } type)
            {
                _taken[i] = true;
                return type;
            }
        throw Error("the type is missing");
    }

    /// <summary>Whether a modifier is there that nobody has taken.</summary>
    internal bool HasMore => _taken.Contains(false);

    internal void Count(int least, int most)
    {
        if (Operands.Length < least || Operands.Length > most)
            throw Error($"{Operands.Length} operands instead of {(least == most ? $"{least}" : $"{least} to {most}")}");
    }

    internal void Count(int count) => Count(count, count);

    /// <summary>An object of a generic type, with constructor arguments.</summary>
    internal static PtxOp Make(Type generic, Type[] types, params object[] arguments) =>
        (PtxOp)Activator.CreateInstance(
            generic.MakeGenericType(types), System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Public,
            null, arguments, null)!;
}
