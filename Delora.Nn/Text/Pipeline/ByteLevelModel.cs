using System.Text;

namespace Delora.Nn;

/// <summary>
/// Byte-level BPE, as GPT-2's: the bytes of each word are merged in the order in which the merges were learned. Every text comes back
/// exactly, lone surrogates aside.
/// </summary>
internal sealed class ByteLevelModel : SubwordModel
{
    private readonly BpeMerges _merges = new();
    private readonly int[] _idOfByte = new int[256];
    private readonly Dictionary<string, int>? _wholeWords;

    /// <param name="vocabulary">Tokens and merges.</param>
    /// <param name="ignoresMerges">Whether a word that is a token becomes it, whatever the merges (<c>ignore_merges</c>).</param>
    public ByteLevelModel(ByteLevelVocabulary vocabulary, bool ignoresMerges = false)
        : base(vocabulary.Tokens)
    {
        for (int id = 0; id < vocabulary.Tokens.Length; id++)
            if (vocabulary.Tokens[id] is [byte value])
                _idOfByte[value] = id;
        for (int rank = 0; rank < vocabulary.Merges.Count; rank++)
        {
            (int left, int right, int id) = vocabulary.Merges[rank];
            _merges.TryAdd(left, right, rank, id);
        }
        if (ignoresMerges) _wholeWords = WholeWords(vocabulary);
    }

    public override string Kind => "byte-level BPE";

    public override WordAction Start(List<int> ids)
    {
        var merger = new BpeMerger(_merges);
        var seen = new SeenWords(ids);
        var whole = _wholeWords?.GetAlternateLookup<ReadOnlySpan<char>>();
        int[] symbols = [];
        byte[] bytes = [];
        return word =>
        {
            if (seen.Repeat(word)) return;
            int start = ids.Count;
            if (whole is { } words && words.TryGetValue(word, out int id)) ids.Add(id);
            else
            {
                if (bytes.Length < 3 * word.Length)
                {
                    bytes = new byte[Math.Max(256, 3 * word.Length)];
                    symbols = new int[bytes.Length];
                }
                int count = Encoding.UTF8.GetBytes(word, bytes);
                for (int i = 0; i < count; i++) symbols[i] = _idOfByte[bytes[i]];
                count = merger.Merge(symbols.AsSpan(0, count));
                ids.AddRange(symbols.AsSpan(0, count));
            }
            seen.Remember(word, start);
        };
    }

    /// <summary>The tokens that are text; the others no word is.</summary>
    private static Dictionary<string, int> WholeWords(ByteLevelVocabulary vocabulary)
    {
        var words = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int id = 0; id < vocabulary.Tokens.Length; id++)
        {
            byte[] bytes = vocabulary.Tokens[id];
            if (bytes.Length > 0 && System.Text.Unicode.Utf8.IsValid(bytes)) words.TryAdd(Encoding.UTF8.GetString(bytes), id);
        }
        return words;
    }
}
