namespace Delora.Nn;

/// <summary>Finds the module names that somebody who mistyped one may have meant.</summary>
internal static class NearestNames
{
    private const int Shown = 4;

    /// <summary>
    /// The names with the smallest edit distance to any of the selector's words, the nearest first; those that end alike are shown once.
    /// </summary>
    public static string[] Find(ModuleSelector selector, IEnumerable<string> names)
    {
        string[] wanted = selector.Pattern is null ? [.. selector.Names] : [selector.Pattern];
        return
        [
            .. names.Select(name => (Name: name, Distance: wanted.Min(word => Distance(word, name))))
                .OrderBy(candidate => candidate.Distance)
                .DistinctBy(candidate => LastPart(candidate.Name))
                .Take(Shown)
                .Select(candidate => candidate.Name),
        ];
    }

    /// <summary>The smaller of the distances to the whole name and to its end of as many parts as the word has.</summary>
    private static int Distance(string word, string name)
    {
        int parts = word.Count(c => c == '.') + 1;
        string[] all = name.Split('.');
        return Math.Min(Levenshtein(word, name), Levenshtein(word, string.Join('.', all[Math.Max(0, all.Length - parts)..])));
    }

    private static string LastPart(string name) => name[(name.LastIndexOf('.') + 1)..];

    private static int Levenshtein(string a, string b)
    {
        // Names are short; a long pattern gets no better hint from its tail.
        ReadOnlySpan<char> left = a.AsSpan(0, Math.Min(a.Length, 200)), right = b.AsSpan(0, Math.Min(b.Length, 200));
        var row = new int[right.Length + 1];
        for (int j = 0; j < row.Length; j++) row[j] = j;
        for (int i = 0; i < left.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i + 1;
            for (int j = 0; j < right.Length; j++)
            {
                int change = diagonal + (left[i] == right[j] ? 0 : 1);
                diagonal = row[j + 1];
                row[j + 1] = Math.Min(change, Math.Min(row[j], row[j + 1]) + 1);
            }
        }
        return row[^1];
    }
}
