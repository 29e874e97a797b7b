using System.Diagnostics;
using System.Text.RegularExpressions;
using Delora.Core;

namespace Delora.Nn;

/// <summary>What becomes of what matches, as <c>tokenizer.json</c> names it.</summary>
internal enum SplitBehavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous }

/// <summary>
/// Cuts a text where a regular expression matches (Split). Source: HuggingFace's <c>tokenizers</c>, <c>NormalizedString::split</c>.
/// </summary>
internal sealed class RegexSplitter : WordSplitter
{
    /// <summary>A single match may take this long, and a whole text this long and a little more for each of its characters.</summary>
    /// <remarks>
    /// A word of a million letters takes milliseconds. .NET's own limit is one for each match; a stranger's pattern may be slow at every place.
    /// </remarks>
    private static readonly TimeSpan MostTime = TimeSpan.FromSeconds(2), MostTimePerCharacter = TimeSpan.FromMicroseconds(10);

    private readonly Regex _regex;
    private readonly SplitBehavior _behavior;
    private readonly bool _inverts;

    /// <param name="pattern">From <see cref="RegexTranslator"/>.</param>
    /// <param name="behavior">What becomes of what matches.</param>
    /// <param name="inverts">Whether what does not match is taken for what does, and the other way round.</param>
    public RegexSplitter(string pattern, SplitBehavior behavior, bool inverts)
    {
        _regex = new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.Compiled, MostTime);
        _behavior = behavior;
        _inverts = inverts;
    }

    public override void Split(ReadOnlySpan<char> text, bool isFirst, WordAction word)
    {
        if (!text.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            Split(text, text, null, word);
            return;
        }
        (char[] standIns, int[] places) = StandIns.Replace(text);
        Split(text, standIns, places, word);
    }

    private void Split(ReadOnlySpan<char> text, ReadOnlySpan<char> matched, int[]? places, WordAction word)
    {
        List<(int End, bool Matches)> parts = [];
        int end = 0;
        TimeSpan most = MostTime + MostTimePerCharacter * matched.Length;
        long start = Stopwatch.GetTimestamp();
        try
        {
            foreach (ValueMatch match in _regex.EnumerateMatches(matched))
            {
                if (Stopwatch.GetElapsedTime(start) > most) throw TooSlow(text.Length);
                if (match.Length == 0) continue;
                if (match.Index > end) Add(match.Index, _inverts);
                end = match.Index + match.Length;
                Add(end, !_inverts);
            }
        }
        catch (RegexMatchTimeoutException error)
        {
            throw TooSlow(text.Length, error);
        }
        if (end < matched.Length) Add(matched.Length, _inverts);

        int begin = 0;
        for (int i = 0; i < parts.Count; i++)
        {
            bool goesOn = i + 1 < parts.Count && GoesOn(parts[i].Matches, parts[i + 1].Matches);
            if (goesOn) continue;
            int stop = places is null ? parts[i].End : places[parts[i].End];
            if (_behavior != SplitBehavior.Removed || !parts[i].Matches) word(text[begin..stop]);
            begin = stop;
        }

        void Add(int to, bool matches) => parts.Add((to, matches));
    }

    private static DeloraException TooSlow(int length, Exception? error = null) =>
        new($"The tokenizer's pattern takes too long for a text of {length} characters.", error);

    /// <summary>Whether the part behind belongs to the same word.</summary>
    private bool GoesOn(bool matches, bool nextMatches) => _behavior switch
    {
        SplitBehavior.Contiguous => matches == nextMatches,
        // A match goes with what stands before it, unless that is a match as well.
        SplitBehavior.MergedWithPrevious => nextMatches && !matches,
        SplitBehavior.MergedWithNext => matches && !nextMatches,
        _ => false,
    };
}
