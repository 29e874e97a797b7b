using System.Text;

namespace Delora.Nn;

/// <summary>
/// WordPiece, as BERT's: a word is the longest token that it begins with, then the longest that goes on, and so forth; a word for which
/// that fails, or that is too long, is the unknown token. Source: <c>WordpieceTokenizer</c> of BERT.
/// </summary>
internal sealed class WordPieceModel : SubwordModel
{
    private readonly Dictionary<string, int> _beginnings = new(StringComparer.Ordinal), _goingsOn = new(StringComparer.Ordinal);
    private readonly int _unknown, _longestWord, _longestToken;

    /// <param name="vocabulary">The tokens.</param>
    /// <param name="unknown">Id of the unknown token.</param>
    /// <param name="prefix">What a token begins with that goes on with a word.</param>
    /// <param name="longestWord">Characters of a word at most.</param>
    public WordPieceModel(VocabularyTable vocabulary, int unknown, string prefix, int longestWord)
        : base(vocabulary.Bytes(name => BytesOf(name, prefix), ""))
    {
        (_unknown, _longestWord) = (unknown, longestWord);
        foreach ((string name, int id) in vocabulary.Ids)
        {
            if (vocabulary.Specials.ContainsKey(name)) continue;
            // A token that begins with the prefix is also found at the beginning of a word that does.
            _beginnings.Add(name, id);
            if (name.StartsWith(prefix, StringComparison.Ordinal)) _goingsOn.TryAdd(name[prefix.Length..], id);
            _longestToken = Math.Max(_longestToken, name.Length);
        }
    }

    public override string Kind => "WordPiece";

    public override bool StripsSpace => true;

    public override WordAction Start(List<int> ids)
    {
        var seen = new SeenWords(ids);
        var beginnings = _beginnings.GetAlternateLookup<ReadOnlySpan<char>>();
        var goingsOn = _goingsOn.GetAlternateLookup<ReadOnlySpan<char>>();
        return word =>
        {
            if (seen.Repeat(word)) return;
            int start = ids.Count, at = 0;
            bool isKnown = CountRunes(word) <= _longestWord;
            while (isKnown && at < word.Length)
            {
                int length = Math.Min(word.Length - at, _longestToken), id = 0;
                while (length > 0 && !(at == 0 ? beginnings : goingsOn).TryGetValue(word.Slice(at, length), out id)) length--;
                ids.Add(id);
                at += length;
                isKnown = length > 0;
            }
            if (!isKnown)
            {
                ids.RemoveRange(start, ids.Count - start);
                ids.Add(_unknown);
            }
            seen.Remember(word, start);
        };
    }

    private static int CountRunes(ReadOnlySpan<char> word)
    {
        int count = 0;
        foreach (Rune _ in word.EnumerateRunes()) count++;
        return count;
    }

    private static byte[] BytesOf(string name, string prefix) => Encoding.UTF8.GetBytes(
        name.Length > prefix.Length && name.StartsWith(prefix, StringComparison.Ordinal) ? name[prefix.Length..] : " " + name);
}
