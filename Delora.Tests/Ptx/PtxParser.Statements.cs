namespace Delora.Tests.Ptx;

// Statements: labels, declarations, instructions and their operands.
internal sealed partial class PtxParser
{
    private void Block(PtxFunction function, PtxScope scope)
    {
        while (!TryTake("}"))
        {
            if (Current.Kind == PtxTokenKind.End) throw Error($"the body of '{function.Name}' does not end");
            if (TryTake("{")) Block(function, new PtxScope(scope));
            else if (TryTake(".pragma")) Pragma();
            else if (TryTake(";")) continue;
            else if (Space(Current.Text) is { } space) function.Variables.AddRange(Variables(space, scope));
            else if (Current.Kind == PtxTokenKind.Word && _tokens[_at + 1].Is(":")) Label(function, scope);
            else function.Instructions.Add(Instruction(scope));
        }
    }

    private void Label(PtxFunction function, PtxScope scope)
    {
        int line = Current.Line;
        string name = Word();
        Expect(":");
        if (TryTake(".branchtargets"))
        {
            var targets = new List<string> { Word() };
            while (TryTake(",")) targets.Add(Word());
            Expect(";");
            if (!scope.AddTargets(name, [.. targets])) throw Error(line, $"'{name}' is declared twice");
        }
        else if (!scope.AddLabel(name, function.Instructions.Count)) throw Error(line, $"the label '{name}' stands twice");
    }

    private PtxInstruction Instruction(PtxScope scope)
    {
        PtxOperand? guard = null;
        int line = Current.Line;
        if (TryTake("@"))
        {
            bool negated = TryTake("!");
            guard = new(PtxOperandKind.Name, Word(), 0, 0, negated, []);
        }
        string opcode = Word();
        if (opcode[0] is '.' or '%') throw Error(line, $"'{opcode}' is not known here");
        var operands = new List<PtxOperand>();
        while (!TryTake(";"))
        {
            if (operands.Count > 0) Expect(",");
            operands.Add(Operand());
        }
        return new(opcode, [.. operands], guard, scope, line);
    }

    private PtxOperand Operand()
    {
        if (TryTake("{")) return new(PtxOperandKind.Vector, "", 0, 0, false, Parts("}"));
        if (TryTake("(")) return new(PtxOperandKind.List, "", 0, 0, false, Parts(")"));
        if (TryTake("[")) return new(PtxOperandKind.Address, "", 0, 0, false, Parts("]"));
        PtxOperand operand = Scalar();
        return TryTake("|") ? new(PtxOperandKind.Pair, "", 0, 0, false, [operand, Scalar()]) : operand;
    }

    private PtxOperand[] Parts(string end)
    {
        var parts = new List<PtxOperand>();
        while (!TryTake(end))
        {
            if (parts.Count > 0) Expect(",");
            parts.Add(Operand());
        }
        return [.. parts];
    }

    private PtxOperand Scalar()
    {
        bool negated = TryTake("!");
        bool negative = !negated && TryTake("-");
        PtxToken token = Take();
        switch (token.Kind)
        {
            case PtxTokenKind.Integer when !negated:
                return new(PtxOperandKind.Integer, (negative ? "-" : "") + token.Text, negative ? 0 - token.Bits : token.Bits, 0, false, []);
            case PtxTokenKind.Float when !negated:
                double value = BitConverter.UInt64BitsToDouble(token.Bits);
                ulong bits = negative ? BitConverter.DoubleToUInt64Bits(-value) : token.Bits;
                return new(PtxOperandKind.Float, (negative ? "-" : "") + token.Text, bits, 0, false, []);
            case PtxTokenKind.Word when !negative && token.Text == "_":
                return new(PtxOperandKind.Sink, "_", 0, 0, false, []);
            case PtxTokenKind.Word when !negative:
                long offset = TryTake("+") ? Integer() : Current.Is("-") ? Integer() : 0;
                return new(PtxOperandKind.Name, token.Text, 0, offset, negated, []);
            default:
                throw Error(token.Line, $"'{token.Text}' begins no operand");
        }
    }
}
