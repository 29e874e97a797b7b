using Delora.Nn;

namespace Delora.Cli;

/// <summary>
/// Turns text into bucket numbers for an embedding bag, after fastText (Joulin et al. 2016, Bojanowski et al. 2017): each word, each pair
/// of neighboring words, and the letter n-grams of each word with its borders marked are hashed into one table.
/// </summary>
/// <remarks>A function of the text and of the settings alone: the same numbers on every platform.</remarks>
internal sealed class TextFeatures
{
    /// <summary>A text's features beyond this number are dropped, so that one long text cannot make a batch arbitrarily large.</summary>
    public const int MaxPerText = 1024;

    private const int MaxWordCharacters = 64;
    private const ulong WordSalt = 1, PairSalt = 2, LetterSalt = 3;

    /// <param name="buckets">Rows of the embedding table, at least 1.</param>
    /// <param name="shortest">Fewest characters of a letter n-gram, border marks included, at least 2.</param>
    /// <param name="longest">Most characters of a letter n-gram, at least <paramref name="shortest"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A setting is out of its range.</exception>
    public TextFeatures(int buckets, int shortest = 3, int longest = 4)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(buckets, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(shortest, 2);
        ArgumentOutOfRangeException.ThrowIfLessThan(longest, shortest);
        (Buckets, Shortest, Longest) = (buckets, shortest, longest);
    }

    public int Buckets { get; }

    public int Shortest { get; }

    public int Longest { get; }

    /// <summary>
    /// Appends the buckets of <paramref name="text"/>, each in [0, <see cref="Buckets"/>); text without letters and digits has none.
    /// </summary>
    public void Append(ReadOnlySpan<char> text, List<int> buckets)
    {
        int limit = buckets.Count + MaxPerText;
        Span<char> word = stackalloc char[MaxWordCharacters + 2];
        ulong previous = 0;
        int i = 0;
        while (i < text.Length && buckets.Count < limit)
        {
            if (!char.IsLetterOrDigit(text[i]))
            {
                i++;
                continue;
            }

            int length = 0;
            word[length++] = '<';
            for (; i < text.Length && char.IsLetterOrDigit(text[i]); i++)
            {
                if (length <= MaxWordCharacters)
                    word[length++] = char.ToLowerInvariant(text[i]);
            }

            word[length++] = '>';
            ulong hash = StableHash.Of(word[..length], WordSalt);
            Add(hash, buckets, limit);
            if (previous != 0)
                Add(StableHash.Mix((previous * 3) ^ hash ^ PairSalt), buckets, limit);
            previous = hash;
            AppendLetters(word[..length], buckets, limit);
        }
    }

    private void AppendLetters(ReadOnlySpan<char> marked, List<int> buckets, int limit)
    {
        for (int start = 0; start < marked.Length; start++)
        {
            // The whole word is a feature already.
            for (int n = Shortest; n <= Longest && start + n <= marked.Length && n < marked.Length; n++)
                Add(StableHash.Of(marked.Slice(start, n), LetterSalt), buckets, limit);
        }
    }

    private void Add(ulong hash, List<int> buckets, int limit)
    {
        if (buckets.Count < limit)
            buckets.Add((int)(hash % (uint)Buckets));
    }
}
