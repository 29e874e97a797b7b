using System.Buffers;
using System.Globalization;
using System.Text;

namespace Delora.Nn;

/// <summary>A token beside the model's vocabulary: where its text stands it is cut out before all else.</summary>
/// <param name="Content">Its text.</param>
/// <param name="Id">Its id.</param>
/// <param name="Special">Whether only a text that is trusted can hold it.</param>
/// <param name="SingleWord">Whether it counts only where no letter, digit or mark is its neighbour.</param>
/// <param name="TakesLeft">Whether the white space before it goes with it (<c>lstrip</c>).</param>
/// <param name="TakesRight">Whether the white space behind it goes with it (<c>rstrip</c>).</param>
/// <param name="Normalized">Whether it is looked for in the normalized text.</param>
internal sealed record AddedToken(
    string Content, int Id, bool Special, bool SingleWord = false, bool TakesLeft = false, bool TakesRight = false, bool Normalized = false);

/// <summary>
/// Finds added tokens in a text: the leftmost, and of those that begin there the longest. Source: <c>AddedVocabulary</c> of HuggingFace's
/// <c>tokenizers</c>.
/// </summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<char, (string Text, AddedToken Token)[]> _byFirst;
    private readonly SearchValues<string> _all;
    private readonly bool _anyPlain;

    /// <summary>Tokens, each with the text that is looked for.</summary>
    public AddedTokens(IReadOnlyCollection<(string Text, AddedToken Token)> tokens)
    {
        _byFirst = tokens.GroupBy(entry => entry.Text[0]).ToDictionary(
            group => group.Key, group => group.OrderByDescending(entry => entry.Text.Length).ToArray());
        _all = SearchValues.Create([.. tokens.Select(entry => entry.Text)], StringComparison.Ordinal);
        _anyPlain = tokens.Any(entry => !entry.Token.Special);
    }

    /// <summary>Cuts a text into what lies between the tokens, with a null token, and the tokens.</summary>
    public IEnumerable<(int Start, int Length, AddedToken? Token)> Split(string text, bool parseSpecial)
    {
        int start = 0;
        if (parseSpecial || _anyPlain)
        {
            for (int from = 0; Next(text, from) is { } found; from = found.End)
            {
                (int left, int right, AddedToken token) = found;
                if (token.Special && !parseSpecial) continue;
                if (token.SingleWord && (IsWord(EndOf(text.AsSpan(0, left))) || IsWord(StartOf(text.AsSpan(right))))) continue;
                if (token.TakesLeft)
                    while (left > start && char.IsWhiteSpace(text[left - 1]))
                        left--;
                if (token.TakesRight)
                    while (right < text.Length && char.IsWhiteSpace(text[right]))
                        right++;
                if (left > start) yield return (start, left - start, null);
                yield return (left, right - left, token);
                start = right;
            }
        }
        if (start < text.Length) yield return (start, text.Length - start, null);
    }

    private (int Start, int End, AddedToken Token)? Next(string text, int from)
    {
        int start = text.AsSpan(from).IndexOfAny(_all);
        if (start < 0) return null;
        start += from;
        foreach ((string content, AddedToken token) in _byFirst[text[start]])
            if (text.AsSpan(start).StartsWith(content, StringComparison.Ordinal))
                return (start, start + content.Length, token);
        throw new InvalidOperationException("What was found is not there.");
    }

    private static Rune? EndOf(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out Rune rune, out _) == OperationStatus.Done ? rune : null;

    private static Rune? StartOf(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out Rune rune, out _) == OperationStatus.Done ? rune : null;

    /// <summary>A letter, mark, digit or connector, as \w of regular expressions.</summary>
    private static bool IsWord(Rune? rune) => rune is { } one && (one.Value is 0x200C or 0x200D || Rune.GetUnicodeCategory(one) is
        <= UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation);
}
