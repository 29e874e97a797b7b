using System.Globalization;
using System.Text;
using Delora.Nn;

namespace Delora.Tests;

/// <summary>Small texts of two kinds that differ clearly, always the same.</summary>
internal static class SampleTexts
{
    private const string Intrinsics = "System.Runtime.Intrinsics";

    private static readonly string[] s_words =
        ["the", "file", "opens", "a", "stream", "of", "bytes", "returns", "value", "for", "each", "name"];

    private static readonly string[] s_codes = ["vadd_", "vsub_", "vmul_", "Vd.4S", "Vn.2D", "(a, b)", "ADD", "SUB", "MUL"];

    /// <summary>A sentence of the old kind, or of the new one.</summary>
    public static string Sentence(bool isNew, int number)
    {
        string[] words = isNew ? s_codes : s_words;
        StringBuilder text = new();
        for (int i = 0; i < 8; i++)
            text.Append(words[StableHash.Mix(((ulong)number * 8) + (ulong)i) % (ulong)words.Length]).Append(' ');
        return text.Append(CultureInfo.InvariantCulture, $"{number}.").ToString();
    }

    /// <summary>A file whose halves are of the two kinds.</summary>
    public static string File(int sentences = 500)
    {
        string old = string.Concat(Enumerable.Range(0, sentences).Select(i => Sentence(false, i) + "\n"));
        StringBuilder text = new(old);
        for (int i = 0; text.Length + Sentence(true, i).Length < 2 * old.Length; i++)
            text.Append(Sentence(true, i)).Append('\n');
        return text.ToString();
    }

    /// <summary>Documentation of both kinds: types of the old one, and operations of the new one.</summary>
    public static string Members(int count = 300)
    {
        StringBuilder xml = new();
        foreach (string type in (string[])["X86.Avx", "Arm.Neon"])
            xml.Append(CultureInfo.InvariantCulture, $"<member name=\"T:{Intrinsics}.{type}\"/>");
        for (int i = 0; i < count; i++)
        {
            string summary = Sentence(false, (3 * i) + 1), parameter = Sentence(false, (3 * i) + 2);
            xml.Append(SampleDocumentation.Member($"T:System.Sub.T{i}", Sentence(false, 3 * i)));
            xml.Append(CultureInfo.InvariantCulture, $"<member name=\"M:System.Sub.T{i}.M(System.Int32)\"><summary>{summary}</summary>");
            xml.Append(CultureInfo.InvariantCulture, $"<param name=\"x\">{parameter}</param></member>");
            xml.Append(SampleDocumentation.Member($"M:{Intrinsics}.X86.Avx.Op{i}(System.Int32)", Sentence(true, 2 * i)));
            xml.Append(SampleDocumentation.Member($"M:{Intrinsics}.Arm.Neon.Op{i}(System.Int32)", Sentence(true, (2 * i) + 1)));
        }

        return xml.ToString();
    }
}
