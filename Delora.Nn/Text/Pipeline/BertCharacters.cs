using System.Globalization;
using System.Text;

namespace Delora.Nn;

/// <summary>
/// Categories of characters as the tables have them by which HuggingFace's <c>tokenizers</c> cleans text and finds signs: those of
/// Unicode 8. Marks, signs and format characters that came later have no category there, and are as letters.
/// </summary>
internal static class BertCharacters
{
    private static readonly HashSet<int> Later = LoadLater();

    public static UnicodeCategory CategoryOf(Rune rune)
    {
        if (rune.IsAscii) return Rune.GetUnicodeCategory(rune);
        // Characters whose category Unicode has changed since.
        if (rune.Value is 0x166D or 0x111C9) return UnicodeCategory.OtherPunctuation;
        if (rune.Value is 0x1734 or 0x1171E) return UnicodeCategory.NonSpacingMark;
        return Later.Contains(rune.Value) ? UnicodeCategory.OtherNotAssigned : Rune.GetUnicodeCategory(rune);
    }

    /// <summary>Whether it is a word of its own: Unicode's punctuation, and the ASCII signs.</summary>
    public static bool IsSign(Rune rune) => rune.IsAscii
        ? rune.Value is > ' ' and < 0x7F && !Rune.IsLetterOrDigit(rune)
        : CategoryOf(rune) is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherPunctuation;

    private static HashSet<int> LoadLater()
    {
        using StreamReader reader = UnicodeTables.Open("UnicodeSince8.txt");
        HashSet<int> later = [];
        foreach (string[] parts in UnicodeTables.Lines(reader))
            for (int rune = UnicodeTables.Hex(parts[0]); rune <= UnicodeTables.Hex(parts[^1]); rune++)
                later.Add(rune);
        return later;
    }
}
