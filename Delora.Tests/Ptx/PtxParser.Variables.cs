using System.Buffers.Binary;
using System.Globalization;

namespace Delora.Tests.Ptx;

// Declarations of variables (PTX ISA, section "Variable Declarations").
internal sealed partial class PtxParser
{
    /// <summary>What stands between the state space and the first name.</summary>
    private readonly record struct TypePrefix(PtxType Type, int Vector, int Alignment);

    private TypePrefix Prefix()
    {
        PtxType? type = null;
        int vector = 1, alignment = 0;
        while (Current.Kind == PtxTokenKind.Word && Current.Text[0] == '.')
        {
            string word = Take().Text;
            if (word == ".align") alignment = Alignment();
            else if (word is ".v2" or ".v4") vector = word[2] - '0';
            else if (word == ".ptr")
            {
                if (Space(Current.Text) is not null) Take();
                if (TryTake(".align")) Alignment();
            }
            else if (PtxTypes.Parse(word[1..]) is { } known && type is null) type = known;
            else throw Error($"'{word}' is not known in a declaration");
        }
        if (type is null) throw Error("a type is expected");
        return new(type.Value, vector, alignment == 0 ? Math.Max(1, type.Value.Size() * vector) : alignment);
    }

    private int Alignment()
    {
        long alignment = Integer();
        return alignment is > 0 and <= 1024 && long.IsPow2(alignment) ? (int)alignment : throw Error($"{alignment} is no alignment");
    }

    /// <summary>The variables of a declaration, up to its semicolon, which are added to the scope.</summary>
    private List<PtxVariable> Variables(PtxSpace space, PtxScope scope)
    {
        Expect("." + Spelling(space));
        TypePrefix prefix = Prefix();
        var variables = new List<PtxVariable>();
        do
        {
            if (space == PtxSpace.Register && _tokens[_at + 1].Is("<")) variables.AddRange(RegisterRange(prefix));
            else variables.Add(Variable(space, prefix, isEntry: false));
        }
        while (TryTake(","));
        Expect(";");
        foreach (PtxVariable variable in variables)
            if (!scope.Add(variable)) throw Error(variable.Line, $"'{variable.Name}' is declared twice");
        return variables;
    }

    private static string Spelling(PtxSpace space) => space switch
    {
        PtxSpace.Register => "reg",
        PtxSpace.Constant => "const",
        PtxSpace.Parameter => "param",
        _ => space.ToString().ToLowerInvariant(),
    };

    private List<PtxVariable> RegisterRange(TypePrefix prefix)
    {
        int line = Current.Line;
        string stem = Word();
        Expect("<");
        long count = Integer();
        if (count is < 0 or > 1 << 20) throw Error($"{count} registers");
        Expect(">");
        var registers = new List<PtxVariable>();
        for (long i = 0; i < count; i++)
            registers.Add(new(stem + i.ToString(CultureInfo.InvariantCulture), PtxSpace.Register, prefix.Type, 1, 1, 1, false, line));
        return registers;
    }

    private PtxVariable Variable(PtxSpace space, TypePrefix prefix, bool isEntry)
    {
        int line = Current.Line;
        string name = Word();
        long? length = 1;
        bool isArray = false;
        while (TryTake("["))
        {
            isArray = true;
            if (TryTake("]"))
            {
                length = null;
                continue;
            }
            length *= Integer();
            Expect("]");
        }
        byte[]? initial = null;
        if (TryTake("="))
        {
            if (space is not (PtxSpace.Global or PtxSpace.Constant)) throw Error("only global and constant variables begin with a value");
            var bytes = new List<byte>();
            Initial(prefix.Type, bytes);
            initial = [.. bytes];
            if (length is null) length = initial.Length / prefix.Type.Size();
            if (initial.Length > length * prefix.Type.Size() * prefix.Vector) throw Error($"'{name}' has more values than elements");
        }
        if (length is null && space != PtxSpace.Shared) throw Error($"'{name}' has no length");
        if (space == PtxSpace.Register && (isArray || prefix.Vector > 1)) throw Error("registers in arrays or vectors are not known");
        return new(name, space, prefix.Type, prefix.Vector, prefix.Alignment, length, isArray, line) { Initial = initial, IsEntryParameter = isEntry };
    }

    private void Initial(PtxType type, List<byte> bytes)
    {
        if (TryTake("{"))
        {
            while (!TryTake("}"))
            {
                Initial(type, bytes);
                if (!Current.Is("}")) Expect(",");
            }
            return;
        }
        bool negative = TryTake("-");
        PtxToken token = Take();
        ulong bits = token.Kind switch
        {
            PtxTokenKind.Integer when !type.IsFloat() => negative ? 0 - token.Bits : token.Bits,
            PtxTokenKind.Float when type.IsFloat() => OfFloat(type, token.Bits, negative),
            _ => throw Error(token.Line, $"'{token.Text}' is no value of the type .{type.ToString().ToLowerInvariant()}"),
        };
        Span<byte> all = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(all, bits);
        bytes.AddRange(all[..type.Size()]);
    }

    private ulong OfFloat(PtxType type, ulong bits, bool negative)
    {
        double value = BitConverter.UInt64BitsToDouble(bits);
        if (negative) value = -value;
        return type switch
        {
            PtxType.F32 => BitConverter.SingleToUInt32Bits((float)value),
            PtxType.F64 => BitConverter.DoubleToUInt64Bits(value),
            _ => throw Error("values of this type are not known"),
        };
    }
}
