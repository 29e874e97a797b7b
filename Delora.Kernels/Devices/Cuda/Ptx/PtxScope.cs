using System.Globalization;
using System.Text;

namespace Delora.Kernels.Ptx;

/// <summary>Something that stands in a scope: a line, or a scope in it.</summary>
internal interface IPtxPart
{
    /// <summary>Appends the text.</summary>
    void Write(StringBuilder text, int depth);
}

/// <summary>An instruction, a label or a comment.</summary>
internal sealed record PtxLine(PtxGuard? Guard, string Head, PtxOperand[] Operands) : IPtxPart
{
    /// <inheritdoc/>
    public void Write(StringBuilder text, int depth)
    {
        if (Head.EndsWith(':')) text.Append(Head).Append('\n');
        else if (Head.StartsWith("//", StringComparison.Ordinal)) text.Append(' ', depth * 4).Append(Head).Append('\n');
        else
        {
            text.Append(' ', depth * 4);
            if (Guard is { } guard) text.Append(guard.ToString()).Append(' ');
            text.Append(Head);
            for (int i = 0; i < Operands.Length; i++) text.Append(i == 0 ? " " : ", ").Append(Operands[i].ToString());
            text.Append(";\n");
        }
    }
}

/// <summary>A part in braces with the registers that are declared in it.</summary>
internal sealed class PtxScope(PtxScope? outer, string comment) : IPtxPart
{
    // Declarations are not longer than a line of the code.
    private const int Width = 140;

    private readonly List<IPtxPart> _parts = [];

    internal PtxScope? Outer { get; } = outer;

    internal List<PtxRegister> Registers { get; } = [];

    internal void Add(IPtxPart part) => _parts.Add(part);

    /// <inheritdoc/>
    public void Write(StringBuilder text, int depth)
    {
        if (comment.Length > 0) text.Append(' ', depth * 4).Append(CultureInfo.InvariantCulture, $"// {comment}\n");
        text.Append(' ', depth * 4).Append("{\n");
        foreach (IGrouping<string, PtxRegister> type in Registers.GroupBy(register => register.Type).OrderBy(type => type.Key, StringComparer.Ordinal))
            WriteDeclarations(text, depth + 1, type.Key, [.. type.Select(register => register.ToString())]);
        foreach (IPtxPart part in _parts) part.Write(text, depth + 1);
        text.Append(' ', depth * 4).Append("}\n");
    }

    private static void WriteDeclarations(StringBuilder text, int depth, string type, string[] names)
    {
        for (int first = 0; first < names.Length;)
        {
            int length = 0, last = first;
            while (last < names.Length && (length += names[last].Length + 2) < Width) last++;
            text.Append(' ', depth * 4).Append(CultureInfo.InvariantCulture, $".reg .{type} ").AppendJoin(", ", names[first..last]).Append(";\n");
            first = last;
        }
    }
}
