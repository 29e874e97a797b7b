using System.Globalization;
using System.Text;

namespace Delora.Nn;

/// <summary>
/// BERT's text cleaning: control characters go, white space becomes blanks; ideographs stand alone; accents go; letters become small.
/// Source: <c>BasicTokenizer</c> of BERT, as HuggingFace's <c>tokenizers</c> has it (<c>BertNormalizer</c>).
/// </summary>
/// <param name="cleans"><c>clean_text</c></param>
/// <param name="splitsIdeographs"><c>handle_chinese_chars</c></param>
/// <param name="removesAccents"><c>strip_accents</c></param>
/// <param name="lowercases"><c>lowercase</c></param>
internal sealed class BertNormalizer(bool cleans, bool splitsIdeographs, bool removesAccents, bool lowercases) : TextNormalizer
{
    public override bool Lowercases => lowercases;

    /// <summary>Reads the component; <c>strip_accents</c> is what <c>lowercase</c> is where it is null.</summary>
    public static BertNormalizer Read(JsonFields component)
    {
        bool lowercases = component.Flag("lowercase", true);
        return new BertNormalizer(component.Flag("clean_text", true), component.Flag("handle_chinese_chars", true),
            component.Flag("strip_accents", lowercases), lowercases);
    }

    public override string Apply(string text)
    {
        if (cleans || splitsIdeographs) text = Clean(text);
        if (removesAccents) text = RemoveMarks(UnicodeNormalization.Decompose(text));
        return lowercases ? ToLower(text) : text;
    }

    /// <summary>Leaves out the marks that combine with a letter (category Mn).</summary>
    private static string RemoveMarks(string text)
    {
        if (Ascii.IsValid(text)) return text;
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            if (BertCharacters.CategoryOf(rune) != UnicodeCategory.NonSpacingMark)
                Append(result, rune);
        return result.ToString();
    }

    /// <summary>Small letters, each by itself; the only one that becomes two characters is U+0130.</summary>
    public static string ToLower(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            if (rune.Value == 0x130) result.Append("i\u0307");
            else Append(result, Rune.ToLowerInvariant(rune));
        return result.ToString();
    }

    private string Clean(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (cleans && IsRemoved(rune)) continue;
            if (cleans && Rune.IsWhiteSpace(rune)) result.Append(' ');
            else if (splitsIdeographs && IsIdeograph(rune.Value)) Append(result.Append(' '), rune).Append(' ');
            else Append(result, rune);
        }
        return result.ToString();
    }

    private static bool IsRemoved(Rune rune) => rune.Value is 0 or 0xFFFD || (rune.Value is not ('\t' or '\n' or '\r')
        && BertCharacters.CategoryOf(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse);

    private static bool IsIdeograph(int rune) => rune is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF)
        or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF)
        or (>= 0x2F800 and <= 0x2FA1F);

    private static StringBuilder Append(StringBuilder text, Rune rune)
    {
        Span<char> two = stackalloc char[2];
        return text.Append(two[..rune.EncodeToUtf16(two)]);
    }
}
