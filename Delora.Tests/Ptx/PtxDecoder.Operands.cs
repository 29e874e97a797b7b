namespace Delora.Tests.Ptx;

// Operands: where their values are found and put.
internal sealed partial class PtxDecoder
{
    /// <summary>An address: a slot with its variable part, and a constant part.</summary>
    internal readonly record struct Place(int Slot, ulong Offset);

    /// <summary>The slot of a value of that type. Loads, stores and conversions take registers that are wider (<paramref name="wide"/>).</summary>
    internal int Source(int index, PtxType type, bool wide = false) => SourceOf(Operands[index], type, wide);

    internal int SourceOf(PtxOperand operand, PtxType type, bool wide = false)
    {
        switch (operand.Kind)
        {
            case PtxOperandKind.Integer:
                if (type.IsFloat() && type is not (PtxType.F16x2 or PtxType.Bf16x2 or PtxType.F16 or PtxType.Bf16))
                    throw Error($"'{operand}' is no number of the type");
                return Compiler.Constant(Truncate(operand.Bits, type.Size()));
            case PtxOperandKind.Float:
                double value = BitConverter.UInt64BitsToDouble(operand.Bits);
                return type switch
                {
                    PtxType.F32 or PtxType.B32 or PtxType.Tf32 => Compiler.Constant(BitConverter.SingleToUInt32Bits((float)value)),
                    PtxType.F64 or PtxType.B64 => Compiler.Constant(operand.Bits),
                    _ => throw Error($"'{operand}' is no number of the type"),
                };
            case PtxOperandKind.Name when operand.Negated: throw Error($"'{operand}' is no value");
            case PtxOperandKind.Name when operand.Name == "WARP_SZ": return Compiler.Constant(32);
            case PtxOperandKind.Name when SpecialRegisters.Type(operand.Name) is { } special:
                if (special.Size() < type.Size()) throw Error($"'{operand}' is narrower than the type");
                return Compiler.Special(operand.Name);
            case PtxOperandKind.Name when Scope.Find(operand.Name) is { } variable:
                if (variable.Space != PtxSpace.Register) return Compiler.Constant(AddressOf(variable, operand, type));
                if (operand.Offset != 0) throw Error($"'{operand}' is no value");
                CheckWidth(variable, type, wide);
                return (int)variable.Address;
            case PtxOperandKind.Name: throw Error($"'{operand.Name}' is declared nowhere");
            default: throw Error($"'{operand}' is no value");
        }
    }

    private ulong AddressOf(PtxVariable variable, PtxOperand operand, PtxType type)
    {
        bool isShort = type.Size() == 4 && variable.Space is PtxSpace.Shared or PtxSpace.Local or PtxSpace.Parameter;
        if (type.Size() != 8 && !isShort) throw Error($"the address of '{variable.Name}' does not fit the type");
        return variable.Address + (ulong)operand.Offset;
    }

    private void CheckWidth(PtxVariable register, PtxType type, bool wide)
    {
        if (register.Type == PtxType.Pred) throw Error($"'{register.Name}' is a predicate");
        int size = type.Size();
        if (wide ? register.Type.Size() < size : register.Type.Size() != size)
            throw Error($"'{register.Name}' is declared .{register.Type.Word()}, which does not fit .{type.Word()}");
    }

    private static ulong Truncate(ulong bits, int size) => size >= 8 ? bits : bits & ((1UL << (8 * size)) - 1);

    /// <summary>The slot to write a value of that type to.</summary>
    internal int Target(int index, PtxType type, bool wide = false) => TargetOf(Operands[index], type, wide);

    internal int TargetOf(PtxOperand operand, PtxType type, bool wide = false)
    {
        if (operand.Kind == PtxOperandKind.Sink) return Compiler.Scratch();
        PtxVariable register = Register(operand);
        CheckWidth(register, type, wide);
        return (int)register.Address;
    }

    /// <summary>The size of the register that an operand names.</summary>
    internal int RegisterSize(PtxOperand operand, PtxType otherwise) => operand.Kind == PtxOperandKind.Sink ? otherwise.Size() : Register(operand).Type.Size();

    private PtxVariable Register(PtxOperand operand) =>
        operand is { Kind: PtxOperandKind.Name, Offset: 0, Negated: false } && Scope.Find(operand.Name) is { Space: PtxSpace.Register } found
            ? found : throw Error($"'{operand}' is no declared register");

    /// <summary>The predicate that an operand names, whether negated or not.</summary>
    internal int PredicateOf(PtxOperand operand) =>
        operand.Kind == PtxOperandKind.Sink ? Compiler.ScratchPredicate()
            : operand is { Kind: PtxOperandKind.Name, Offset: 0 } && Scope.Find(operand.Name) is { Space: PtxSpace.Register, Type: PtxType.Pred } found
                ? (int)found.Address : throw Error($"'{operand}' is no declared predicate");

    /// <summary>A predicate to read, with its sign.</summary>
    internal PredicateSource PredicateSource(int index) => new(PredicateOf(Operands[index]), Operands[index].Negated);

    /// <summary>The parts of a vector, or the operand alone.</summary>
    internal PtxOperand[] Elements(int index, int count)
    {
        PtxOperand operand = Operands[index];
        PtxOperand[] elements = operand.Kind == PtxOperandKind.Vector ? operand.Parts : [operand];
        return elements.Length == count ? elements : throw Error($"'{operand}' has {elements.Length} elements instead of {count}");
    }

    internal int[] Sources(int index, int count, PtxType type, bool wide = false) =>
        [.. Elements(index, count).Select(element => SourceOf(element, type, wide))];

    internal int[] Targets(int index, int count, PtxType type, bool wide = false) =>
        [.. Elements(index, count).Select(element => TargetOf(element, type, wide))];

    /// <summary>The address in brackets; registers may have 32 bits in the spaces of a group or thread.</summary>
    internal Place Address(int index) => AddressOf(Operands[index]);

    internal Place AddressOf(PtxOperand operand)
    {
        if (operand.Kind != PtxOperandKind.Address || operand.Parts.Length != 1) throw Error($"'{operand}' is no address");
        PtxOperand inner = operand.Parts[0];
        if (inner.Kind == PtxOperandKind.Integer) return new(Compiler.Constant(inner.Bits), 0);
        if (inner is not { Kind: PtxOperandKind.Name, Negated: false }) throw Error($"'{operand}' is no address");
        if (Scope.Find(inner.Name) is not { } variable) throw Error($"'{inner.Name}' is declared nowhere");
        if (variable.Space != PtxSpace.Register) return new(Compiler.Constant(variable.Address + (ulong)inner.Offset), 0);
        if (variable.Type.Size() is not (4 or 8) || variable.Type.IsFloat()) throw Error($"'{inner.Name}' cannot hold an address");
        return new((int)variable.Address, (ulong)inner.Offset);
    }

    /// <summary>The variable that an address names, or null if it is in a register.</summary>
    internal PtxVariable? Variable(int index) =>
        Operands[index] is { Kind: PtxOperandKind.Address, Parts: [{ Kind: PtxOperandKind.Name } inner] }
            && Scope.Find(inner.Name) is { Space: not PtxSpace.Register } found
            ? found : null;
}

/// <summary>A predicate that is read, perhaps negated.</summary>
internal readonly record struct PredicateSource(int Index, bool Negated)
{
    /// <summary>The lanes of a mask for which it holds.</summary>
    internal uint Read(PtxWarp warp, uint mask) => warp.Predicate(Index, Negated, mask) & mask;
}
