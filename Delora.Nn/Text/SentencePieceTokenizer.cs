using System.Text;

namespace Delora.Nn;

/// <summary>
/// SentencePiece BPE with byte fallback, as Llama's: spaces become U+2581, and so does the beginning; the text is merged by the pieces'
/// scores, word by word where no piece spans two and else as a whole; characters that no piece has become the tokens of their bytes.
/// </summary>
internal sealed class SentencePieceTokenizer : TextTokenizer
{
    private const char Space = '\u2581';

    private readonly SentencePieceModel _model;
    private readonly Dictionary<int, int> _runes = [];
    private readonly BpeMerges _merges = new();

    /// <summary>Whether no piece has a space behind another character, so that nothing is merged across the beginning of a word.</summary>
    private readonly bool _hasWords;

    private readonly AddedTokens _control;
    private readonly bool _prefixesAll;

    private SentencePieceTokenizer(SentencePieceModel model, TokenizerSpecials specials, TokenizerFiles files, bool prefixesAll)
        : base([.. model.Pieces.Select((piece, id) => BytesOf(piece, id - model.FirstByte))], specials, files.All)
    {
        _model = model;
        _prefixesAll = prefixesAll;
        _control = new AddedTokens([.. specials.Ids.Select(entry => (entry.Key, new AddedToken(entry.Key, entry.Value, Special: true)))]);
        _hasWords = !model.Pieces.Any(piece => piece.Kind == PieceKind.Normal && FirstLength(piece.Text) < piece.Text.Length);
        AddMerges();
    }

    public override string Description => $"SentencePiece BPE, {VocabularySize} tokens";

    public static SentencePieceTokenizer Load(TokenizerFiles files, Action<string>? warn)
    {
        string path = files.PathOf(TokenizerFiles.SentencePiece);
        SentencePieceModel model = SentencePieceModel.Parse(files.Bytes(TokenizerFiles.SentencePiece), path);
        Dictionary<string, int> ids = [];
        for (int id = 0; id < model.Pieces.Count; id++)
            if (model.Pieces[id].Kind is PieceKind.Control or PieceKind.Unknown)
                ids.Add(model.Pieces[id].Text, id);
        var rules = new TokenizerRules(ids)
        {
            BeginId = model.BeginId, EndId = model.EndId, PadId = ids.TryGetValue("<pad>", out int pad) ? pad : null, AddsBegin = true,
            PrefixesSpace = model.DummyPrefix,
        };
        var specials = TokenizerSpecials.Read(files, rules, warn);
        files.WarnOfAddedTokens(model.Pieces.Count, warn);
        // Before 2023 transformers put a space behind every special token as well, and files that do not say otherwise mean that.
        bool prefixesAll = files.Fields(TokenizerFiles.Config)?.Flag("legacy", true) ?? true;
        return new SentencePieceTokenizer(model, specials, files, prefixesAll);
    }

    internal override bool StartsWithPrefix(int id) =>
        _model.DummyPrefix && _model.Pieces[id] is { Kind: PieceKind.Normal } piece && piece.Text[0] == Space;

    private protected override void Encode(string text, bool parseSpecial, List<int> ids)
    {
        foreach ((int start, int length, AddedToken? token) in _control.Split(text, parseSpecial))
            if (token is not null) ids.Add(token.Id);
            else Encode(text.AsSpan(start, length), _model.DummyPrefix && (start == 0 || _prefixesAll), ids);
    }

    private void Encode(ReadOnlySpan<char> text, bool prefixes, List<int> ids)
    {
        var merger = new BpeMerger(_merges);
        var seen = new SeenWords(ids);
        int[] symbols = [];
        for (ReadOnlySpan<char> left = text; !left.IsEmpty;)
        {
            bool prefixed = prefixes && left.Length == text.Length;
            ReadOnlySpan<char> word = _hasWords ? left[..FirstLength(left)] : left;
            left = left[word.Length..];
            if (!prefixed && seen.Repeat(word)) continue;
            int start = ids.Count, count = 0;
            if (symbols.Length <= word.Length) symbols = new int[Math.Max(64, word.Length + 1)];
            if (prefixed) symbols[count++] = SymbolOf(Space);
            foreach (Rune rune in word.EnumerateRunes()) symbols[count++] = SymbolOf(rune.Value == ' ' ? Space : rune.Value);
            Add(symbols.AsSpan(0, merger.Merge(symbols.AsSpan(0, count))), ids);
            if (!prefixed) seen.Remember(word, start);
        }
    }

    /// <summary>Length of the first word: it ends where a space follows another character.</summary>
    private static int FirstLength(ReadOnlySpan<char> text)
    {
        int length = 1;
        while (length < text.Length && (!IsSpace(text[length]) || IsSpace(text[length - 1]))) length++;
        return length;

        static bool IsSpace(char c) => c is ' ' or Space;
    }

    private void Add(ReadOnlySpan<int> symbols, List<int> ids)
    {
        Span<byte> bytes = stackalloc byte[4];
        foreach (int symbol in symbols)
        {
            if (symbol >= 0)
            {
                ids.Add(symbol);
                continue;
            }
            foreach (byte value in bytes[..new Rune(~symbol).EncodeToUtf8(bytes)]) ids.Add(_model.FirstByte + value);
        }
    }

    private static byte[] BytesOf(Piece piece, int value) => piece.Kind switch
    {
        PieceKind.Byte => [(byte)value],
        PieceKind.Control or PieceKind.Unknown => [],
        _ => Encoding.UTF8.GetBytes(piece.Text.Replace(Space, ' ')),
    };

    /// <summary>
    /// Two neighbours are merged where their texts together are a normal piece, the highest score first. A character without a piece
    /// takes part as well: its symbol is the complement of its code.
    /// </summary>
    private void AddMerges()
    {
        (string Text, int Id, float Score)[] normal = [.. _model.Pieces.Select((piece, id) => (Piece: piece, Id: id))
            .Where(entry => entry.Piece.Kind == PieceKind.Normal).Select(entry => (entry.Piece.Text, entry.Id, entry.Piece.Score))];
        var byText = normal.ToDictionary(entry => entry.Text, entry => entry.Id, StringComparer.Ordinal)
            .GetAlternateLookup<ReadOnlySpan<char>>();
        foreach ((string text, int id, _) in normal)
            if (IsRune(text, out Rune rune))
                _runes.Add(rune.Value, id);

        float[] scores = [.. normal.Select(entry => entry.Score).Distinct().OrderDescending()];
        Dictionary<float, int> ranks = [];
        for (int rank = 0; rank < scores.Length; rank++) ranks[scores[rank]] = rank;
        foreach ((string text, int id, float score) in normal)
        {
            for (int cut = 1; cut < text.Length; cut++)
            {
                if (char.IsLowSurrogate(text[cut])) continue;
                if (Find(text.AsSpan(0, cut), out int left) && Find(text.AsSpan(cut), out int right))
                    _merges.TryAdd(left, right, ranks[score], id);
            }
        }

        bool Find(ReadOnlySpan<char> text, out int symbol)
        {
            if (byText.TryGetValue(text, out symbol)) return true;
            if (!IsRune(text, out Rune rune)) return false;
            symbol = ~rune.Value;
            return true;
        }
    }

    private int SymbolOf(int rune) => _runes.TryGetValue(rune, out int id) ? id : ~rune;

    private static bool IsRune(ReadOnlySpan<char> text, out Rune rune) =>
        Rune.DecodeFromUtf16(text, out rune, out int length) == System.Buffers.OperationStatus.Done && length == text.Length;
}
