using System.Buffers;
using System.Globalization;
using System.Text;

namespace Delora.Nn;

/// <summary>
/// BPE of characters with byte fallback, as Llama 2's and Mistral's <c>tokenizer.json</c>: characters are merged in the order of the merges;
/// those that are no token become the tokens of their bytes. Source: <c>BPE</c> of HuggingFace's <c>tokenizers</c>, <c>byte_fallback</c>.
/// </summary>
internal sealed class CharacterBpeModel : SubwordModel
{
    /// <summary>Stands for a space.</summary>
    public const char Space = '\u2581';

    private readonly BpeMerges _merges = new();
    private readonly Dictionary<int, int> _runes = [];
    private readonly int[] _idOfByte = new int[256];

    /// <summary>Whether no merge reaches from one word into the next, so that each word can be merged by itself.</summary>
    private readonly bool _hasWords;

    /// <param name="vocabulary">The tokens.</param>
    /// <param name="merges">Left, right and merged id.</param>
    /// <param name="stripsSpace">Whether a text's leading space is left out when it is decoded.</param>
    public CharacterBpeModel(VocabularyTable vocabulary, IReadOnlyList<(int Left, int Right, int Id)> merges, bool stripsSpace)
        : base(vocabulary.Bytes(BytesOf, ""))
    {
        StripsSpace = stripsSpace;
        for (int value = 0; value < 256; value++)
            _idOfByte[value] = vocabulary.Ids.TryGetValue($"<0x{value:X2}>", out int id) && !vocabulary.Specials.ContainsKey(vocabulary.Names[id])
                ? id
                : throw vocabulary.Wrong($"the token <0x{value:X2}> is missing: what is not in the vocabulary would be lost.");
        for (int id = 0; id < vocabulary.Names.Length; id++)
            if (!vocabulary.Specials.ContainsKey(vocabulary.Names[id]) && IsRune(vocabulary.Names[id], out Rune rune))
                _runes.Add(rune.Value, id);
        for (int rank = 0; rank < merges.Count; rank++) _merges.TryAdd(merges[rank].Left, merges[rank].Right, rank, merges[rank].Id);
        _hasWords = !merges.Any(merge => FirstLength(vocabulary.Names[merge.Id]) < vocabulary.Names[merge.Id].Length);
    }

    public override string Kind => "BPE of characters";

    public override bool StripsSpace { get; }

    public override WordAction Start(List<int> ids)
    {
        var merger = new BpeMerger(_merges);
        var seen = new SeenWords(ids);
        int[] symbols = [];
        return text =>
        {
            while (!text.IsEmpty)
            {
                ReadOnlySpan<char> word = _hasWords ? text[..FirstLength(text)] : text;
                text = text[word.Length..];
                if (seen.Repeat(word)) continue;
                int start = ids.Count, count = 0;
                if (symbols.Length < 3 * word.Length) symbols = new int[Math.Max(64, 3 * word.Length)];
                foreach (Rune rune in word.EnumerateRunes()) count += Symbols(rune, symbols.AsSpan(count));
                ids.AddRange(symbols.AsSpan(0, merger.Merge(symbols.AsSpan(0, count))));
                seen.Remember(word, start);
            }
        };
    }

    /// <summary>Length of the first word: it ends where the sign of a space follows another character.</summary>
    private static int FirstLength(ReadOnlySpan<char> text)
    {
        int length = 1;
        while (length < text.Length && (text[length] != Space || text[length - 1] == Space)) length++;
        return length;
    }

    private int Symbols(Rune rune, Span<int> symbols)
    {
        if (_runes.TryGetValue(rune.Value, out symbols[0])) return 1;
        Span<byte> bytes = stackalloc byte[4];
        int count = rune.EncodeToUtf8(bytes);
        for (int i = 0; i < count; i++) symbols[i] = _idOfByte[bytes[i]];
        return count;
    }

    private static byte[] BytesOf(string name) => name is ['<', '0', 'x', _, _, '>']
        && byte.TryParse(name.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value)
            ? [value]
            : Encoding.UTF8.GetBytes(name.Replace(Space, ' '));

    private static bool IsRune(string text, out Rune rune) =>
        Rune.DecodeFromUtf16(text, out rune, out int length) == OperationStatus.Done && length == text.Length;
}
