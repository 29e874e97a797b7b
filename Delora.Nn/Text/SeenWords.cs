namespace Delora.Nn;

/// <summary>The words of a text that have come before: where their ids stand in the list of all.</summary>
internal sealed class SeenWords(List<int> ids)
{
    /// <summary>Longer words hardly come again.</summary>
    private const int Longest = 32;

    private readonly Dictionary<string, (int Start, int Count)>.AlternateLookup<ReadOnlySpan<char>> _seen =
        new Dictionary<string, (int Start, int Count)>(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Adds the ids of a word that has come before; false where it has not.</summary>
    public bool Repeat(ReadOnlySpan<char> word)
    {
        if (!_seen.TryGetValue(word, out (int Start, int Count) before)) return false;
        for (int i = 0; i < before.Count; i++) ids.Add(ids[before.Start + i]);
        return true;
    }

    /// <summary>Remembers a word, whose ids are the last of the list, from <paramref name="start"/> on.</summary>
    public void Remember(ReadOnlySpan<char> word, int start)
    {
        if (word.Length <= Longest) _seen[word] = (start, ids.Count - start);
    }
}
