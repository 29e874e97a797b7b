using System.Text;

namespace Delora.Nn;

/// <summary>
/// Byte-level BPE, as GPT-2's: the text is cut into words (<see cref="Gpt2Words"/>), and the bytes of each are merged in the order in
/// which the merges were learned. Every text comes back exactly, lone surrogates aside.
/// </summary>
internal sealed class ByteLevelTokenizer : TextTokenizer
{
    private readonly BpeMerges _merges = new();
    private readonly int[] _idOfByte = new int[256];

    internal ByteLevelTokenizer(ByteLevelVocabulary vocabulary, TokenizerSpecials specials, IReadOnlyDictionary<string, byte[]> files)
        : base(vocabulary.Tokens, specials, files)
    {
        for (int id = 0; id < vocabulary.Tokens.Length; id++)
            if (vocabulary.Tokens[id] is [byte value])
                _idOfByte[value] = id;
        for (int rank = 0; rank < vocabulary.Merges.Count; rank++)
        {
            (int left, int right, int id) = vocabulary.Merges[rank];
            _merges.TryAdd(left, right, rank, id);
        }
    }

    public override string Description => $"byte-level BPE, {VocabularySize} tokens";

    public static ByteLevelTokenizer Load(TokenizerFiles files, Action<string>? warn)
    {
        ByteLevelVocabulary vocabulary = ByteLevelJson.Read(files.Fields(TokenizerFiles.Json)!, files.PathOf(TokenizerFiles.Json), warn);
        int? id = vocabulary.Specials.TryGetValue(BpeTrainer.EndOfText, out int endOfText) ? endOfText : null;
        var specials = TokenizerSpecials.Read(files, vocabulary.Specials, id, id, addsBegin: false, prefixesSpace: false, warn);
        return new ByteLevelTokenizer(vocabulary, specials, files.All);
    }

    private protected override void Encode(string text, List<int> ids)
    {
        var merger = new BpeMerger(_merges);
        var seen = new SeenWords(ids);
        int[] symbols = [];
        byte[] bytes = [];
        for (ReadOnlySpan<char> left = text; !left.IsEmpty;)
        {
            ReadOnlySpan<char> word = left[..Gpt2Words.FirstLength(left)];
            left = left[word.Length..];
            if (seen.Repeat(word)) continue;
            int start = ids.Count;
            if (bytes.Length < 3 * word.Length)
            {
                bytes = new byte[Math.Max(256, 3 * word.Length)];
                symbols = new int[bytes.Length];
            }
            int count = Encoding.UTF8.GetBytes(word, bytes);
            for (int i = 0; i < count; i++) symbols[i] = _idOfByte[bytes[i]];
            count = merger.Merge(symbols.AsSpan(0, count));
            ids.AddRange(symbols.AsSpan(0, count));
            seen.Remember(word, start);
        }
    }
}
