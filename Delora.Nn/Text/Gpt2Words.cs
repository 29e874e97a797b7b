using System.Globalization;
using System.Text;

namespace Delora.Nn;

/// <summary>
/// GPT-2's cut of text into words, across which nothing is merged. It is the regular expression
/// <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c> over Unicode characters; .NET's own expressions look
/// at UTF-16 halves and would take a letter beyond the basic plane for a sign. Linear in time.
/// </summary>
internal static class Gpt2Words
{
    private enum Kind { Space, Letter, Number, Other }

    /// <summary>Length of the first word; the text is not empty.</summary>
    public static int FirstLength(ReadOnlySpan<char> text)
    {
        if (Contraction(text) is var contraction and > 0) return contraction;
        // One blank goes with the word that follows.
        int blank = text[0] == ' ' && text.Length > 1 ? 1 : 0;
        Kind kind = KindOf(text[blank..], out _);
        if (kind == Kind.Space) (blank, kind) = (0, KindOf(text, out _));
        int length = blank, last = 0;
        while (length < text.Length && KindOf(text[length..], out int next) == kind) length += last = next;
        // The last of several white spaces belongs to what follows.
        return kind == Kind.Space && length < text.Length && length > last ? length - last : length;
    }

    private static int Contraction(ReadOnlySpan<char> text)
    {
        if (text.Length < 2 || text[0] != '\'') return 0;
        if (text[1] is 's' or 't' or 'm' or 'd') return 2;
        return text.Length > 2 && text[1..3] is "re" or "ve" or "ll" ? 3 : 0;
    }

    private static Kind KindOf(ReadOnlySpan<char> text, out int length)
    {
        Rune.DecodeFromUtf16(text, out Rune rune, out length);
        if (Rune.IsWhiteSpace(rune)) return Kind.Space;
        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => Kind.Other,
        };
    }
}
