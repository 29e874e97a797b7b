using System.Globalization;
using System.Text;

namespace Delora.Nn;

/// <summary>
/// The canonical normalization forms NFC and NFD (Unicode Standard Annex 15). .NET's own <c>string.Normalize</c> gives texts back unchanged
/// where a program has no ICU (<c>InvariantGlobalization</c>), and the vocabulary's ids must not depend on the machine.
/// </summary>
/// <remarks>
/// The data are those of the Unicode Character Database 14 (<c>Decomposition_Mapping</c>, <c>Canonical_Combining_Class</c>); characters
/// that came later stay as they are. Source of the algorithm: Unicode 3.11 and 3.12.
/// </remarks>
internal static class UnicodeNormalization
{
    private const int FirstSyllable = 0xAC00, FirstLead = 0x1100, FirstVowel = 0x1161, FirstTail = 0x11A7;
    private const int Leads = 19, Vowels = 21, Tails = 28, Syllables = Leads * Vowels * Tails;

    /// <summary>A character below it is in both forms, and has the class 0.</summary>
    private const int FirstAffected = 0xC0;

    private static readonly Dictionary<int, (int First, int Second)> Decompositions = [];
    private static readonly Dictionary<(int First, int Second), int> Compositions = [];
    private static readonly Dictionary<int, byte> Classes = [];

    static UnicodeNormalization() => Load();

    /// <summary>The canonical decomposition: each character in its parts, marks in their order.</summary>
    public static string Decompose(string text) => IsSimple(text) ? text : Write(Parts(text));

    /// <summary>The canonical composition of the decomposition.</summary>
    public static string Compose(string text)
    {
        if (IsSimple(text)) return text;
        List<int> parts = Parts(text);
        int count = 0, starter = -1, last = 0;
        for (int at = 0; at < parts.Count; at++)
        {
            int rune = parts[at];
            byte order = ClassOf(rune);
            // A mark reaches its starter where no mark of the same or a higher class stands between, another starter only as its neighbour.
            if (starter >= 0 && (last < order || (last == 0 && starter == count - 1)) && TryCompose(parts[starter], rune, out int composed))
            {
                parts[starter] = composed;
                continue;
            }
            if (order == 0) starter = count;
            last = order;
            parts[count++] = rune;
        }
        parts.RemoveRange(count, parts.Count - count);
        return Write(parts);
    }

    private static bool IsSimple(string text) => !text.AsSpan().ContainsAnyExceptInRange('\0', (char)(FirstAffected - 1));

    private static List<int> Parts(string text)
    {
        var parts = new List<int>(text.Length);
        foreach (Rune rune in text.EnumerateRunes()) Decompose(rune.Value, parts);
        // Marks between two starters are sorted by their class; those of one class keep their order.
        for (int start = 0; start < parts.Count;)
        {
            int end = start;
            while (end < parts.Count && ClassOf(parts[end]) != 0) end++;
            if (end - start > 1)
            {
                int[] sorted = [.. parts[start..end].OrderBy(ClassOf)];
                for (int i = 0; i < sorted.Length; i++) parts[start + i] = sorted[i];
            }
            start = end + 1;
        }
        return parts;
    }

    private static void Decompose(int rune, List<int> parts)
    {
        if (rune < FirstAffected) parts.Add(rune);
        else if (rune - FirstSyllable is var syllable and >= 0 and < Syllables)
        {
            parts.Add(FirstLead + syllable / (Vowels * Tails));
            parts.Add(FirstVowel + syllable % (Vowels * Tails) / Tails);
            if (syllable % Tails > 0) parts.Add(FirstTail + syllable % Tails);
        }
        else if (Decompositions.TryGetValue(rune, out (int First, int Second) found))
        {
            Decompose(found.First, parts);
            if (found.Second > 0) parts.Add(found.Second);
        }
        else parts.Add(rune);
    }

    private static bool TryCompose(int first, int second, out int composed)
    {
        if (first - FirstLead is var lead and >= 0 and < Leads && second - FirstVowel is var vowel and >= 0 and < Vowels)
        {
            composed = FirstSyllable + (lead * Vowels + vowel) * Tails;
            return true;
        }
        if (first - FirstSyllable is var syllable and >= 0 and < Syllables && syllable % Tails == 0
            && second - FirstTail is var tail and > 0 and < Tails)
        {
            composed = first + tail;
            return true;
        }
        return Compositions.TryGetValue((first, second), out composed);
    }

    private static byte ClassOf(int rune) => Classes.GetValueOrDefault(rune);

    private static string Write(List<int> runes)
    {
        var text = new StringBuilder(runes.Count);
        Span<char> two = stackalloc char[2];
        foreach (int rune in runes) text.Append(two[..new Rune(rune).EncodeToUtf16(two)]);
        return text.ToString();
    }

    /// <summary>
    /// The table: lines "character[!] first [second]", where ! says that the parts are not composed again; then, after an empty line, lines
    /// "first last class" of combining characters.
    /// </summary>
    private static void Load()
    {
        using StreamReader reader = UnicodeTables.Open("UnicodeNormalization.txt");
        foreach (string[] parts in UnicodeTables.Lines(reader))
        {
            int rune = UnicodeTables.Hex(parts[0].TrimEnd('!'));
            int first = UnicodeTables.Hex(parts[1]), second = parts.Length > 2 ? UnicodeTables.Hex(parts[2]) : 0;
            Decompositions.Add(rune, (first, second));
            if (!parts[0].EndsWith('!')) Compositions.Add((first, second), rune);
        }
        foreach (string[] parts in UnicodeTables.Lines(reader))
            for (int rune = UnicodeTables.Hex(parts[0]); rune <= UnicodeTables.Hex(parts[1]); rune++)
                Classes.Add(rune, byte.Parse(parts[2], CultureInfo.InvariantCulture));
    }
}
