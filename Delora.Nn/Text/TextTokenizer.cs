using System.Collections.Frozen;
using System.Text;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Turns text into token ids and back: byte-level BPE (as GPT-2, RoBERTa, Llama 3, Qwen), BPE of characters with byte fallback (as
/// Llama 2, Mistral), SentencePiece BPE or WordPiece (as BERT). Immutable, and for any number of threads.
/// </summary>
/// <remarks>
/// Text is only text: a special token's name in it, for instance <c>&lt;/s&gt;</c>, is encoded letter by letter and never becomes that
/// token, so data can't end a document or take another role (transformers: <c>split_special_tokens=True</c>). Who wants the token takes
/// its id from <see cref="SpecialTokens"/>, or asks for it with <c>parseSpecial</c>, which is transformers' default. A lone surrogate,
/// which no UTF-8 can hold, is encoded as U+FFFD.
/// </remarks>
public abstract class TextTokenizer
{
    private readonly byte[][] _bytes;
    private readonly FrozenDictionary<string, byte[]> _files;
    private readonly TokenizerSpecials _specials;
    private readonly Lazy<Dictionary<int, string>> _names;

    private protected TextTokenizer(byte[][] bytes, TokenizerSpecials specials, IReadOnlyDictionary<string, byte[]> files)
    {
        _bytes = bytes;
        _files = files.ToFrozenDictionary();
        _specials = specials;
        _names = new Lazy<Dictionary<int, string>>(() => specials.Ids.ToDictionary(entry => entry.Value, entry => entry.Key));
        SpecialTokens = specials.Ids.ToFrozenDictionary();
    }

    /// <summary>What it is, in words for a person: kind and size.</summary>
    public abstract string Description { get; }

    /// <summary>Number of tokens, special ones included: ids are 0 to this − 1.</summary>
    public int VocabularySize => _bytes.Length;

    /// <summary>The token that stands before a text (<c>bos</c>); null where there is none.</summary>
    public int? BeginId => _specials.BeginId;

    /// <summary>The token that ends a text (<c>eos</c>); null where there is none.</summary>
    public int? EndId => _specials.EndId;

    /// <summary>Whether the model expects <see cref="BeginId"/> before every text (<c>add_bos_token</c>, or a post-processor).</summary>
    public bool AddsBegin => _specials.AddsBegin;

    /// <summary>The token that fills up the shorter texts of a batch (<c>pad_token</c>); null where there is none.</summary>
    public int? PadId => _specials.PadId;

    /// <summary>
    /// Whether the folder asks for <see cref="PadId"/> at the left of a text (<c>padding_side</c>). For who makes batches: those made here say
    /// by a mask what is padding, and encoders and training have it at the right, generation at the left, whatever this says.
    /// </summary>
    public bool PadsLeft => _specials.PadsLeft;

    /// <summary>The special tokens, to which no text is encoded unless it is asked for, and their ids.</summary>
    public IReadOnlyDictionary<string, int> SpecialTokens { get; }

    /// <summary>
    /// Reads a model folder's tokenizer: the first that is there of <c>tokenizer.json</c> (BPE of bytes, BPE of characters with byte fallback,
    /// WordPiece), <c>tokenizer.model</c> (SentencePiece BPE with byte fallback), <c>vocab.json</c> with <c>merges.txt</c> (byte-level BPE of
    /// GPT-2's and RoBERTa's tokenizer classes) and <c>vocab.txt</c> (WordPiece). Every part of these that would change ids and is not
    /// understood is refused by its name. Where there is a <c>tokenizer_config.json</c> as well, the roles that it gives to tokens and the
    /// sides of padding and truncation count, settings that contradict the vocabulary's own rules are refused, and the rest is not read.
    /// </summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="warn">Told what was ignored: it does not change the ids of a text, or adds tokens that no text is encoded to.</param>
    /// <exception cref="DeloraFormatException">There is none, or a file is wrong or not supported.</exception>
    public static TextTokenizer Load(string folder, Action<string>? warn = null)
    {
        ArgumentNullException.ThrowIfNull(folder);
        TokenizerFiles files = TokenizerFiles.Read(folder);
        return files.Has(TokenizerFiles.Json) ? PipelineReader.ReadJson(files, warn)
            : files.Has(TokenizerFiles.SentencePiece) ? SentencePieceTokenizer.Load(files, warn)
            : files.Has(TokenizerFiles.Merges) ? OlderFiles.ReadGpt2(files, warn)
            : OlderFiles.ReadBert(files, warn);
    }

    /// <summary>
    /// Writes the tokenizer's files into a model folder: byte for byte those that were read, or for a trained vocabulary
    /// <c>tokenizer.json</c> and <c>tokenizer_config.json</c> as HuggingFace's libraries read them. Each file is replaced as a whole, and
    /// then those of another tokenizer that <see cref="Load"/> would read are deleted.
    /// </summary>
    /// <param name="folder">Made where it does not exist.</param>
    /// <exception cref="DeloraException">The system refused (no permission, disk full).</exception>
    public void Save(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        TokenizerFiles.Write(folder, _files);
    }

    /// <summary>The ids of a text; none for the empty text, <paramref name="addBegin"/> aside.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="addBegin">Whether <see cref="BeginId"/> stands before it.</param>
    /// <param name="parseSpecial">
    /// Whether names of special tokens in the text become these tokens. Only for text that is trusted, such as a chat template.
    /// </param>
    /// <exception cref="InvalidOperationException">A begin token is asked for and there is none.</exception>
    public IReadOnlyList<int> Encode(string text, bool addBegin = false, bool parseSpecial = false)
    {
        List<int> ids = [];
        if (addBegin) ids.Add(BeginId ?? throw new InvalidOperationException($"{Description} has no begin token."));
        ids.AddRange(EncodeText(text, parseSpecial));
        return ids;
    }

    /// <summary>
    /// What a model reads that classifies a text or a pair of texts: ids with the special tokens around them where the vocabulary's
    /// post-processor puts them (<c>[CLS] a [SEP] b [SEP]</c> for BERT, <c>&lt;s&gt; a &lt;/s&gt;&lt;/s&gt; b &lt;/s&gt;</c> for RoBERTa, the begin
    /// token for Llama), and token type ids. What is too long is cut at the end (<c>truncation_side</c>), from the longer text first, and
    /// the special tokens stay: the same as <c>tokenizer(text, pair, truncation="longest_first", max_length=…)</c> in transformers.
    /// </summary>
    /// <param name="text">The first text.</param>
    /// <param name="pair">The second text; null for none.</param>
    /// <param name="maxLength">The most ids, special ones included.</param>
    /// <param name="parseSpecial">See <see cref="Encode(string, bool, bool)"/>.</param>
    /// <returns>The ids, and for each the number of its text as the model counts them.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The special tokens alone are more than <paramref name="maxLength"/>.</exception>
    public (int[] Ids, int[] TokenTypeIds) EncodeForModel(
        string text, string? pair = null, int maxLength = int.MaxValue, bool parseSpecial = false) =>
        _specials.Template.Build(EncodeText(text, parseSpecial), pair is null ? null : EncodeText(pair, parseSpecial), maxLength,
            _specials.TruncatesLeft);

    /// <summary>
    /// What a model reads whose words have labels: each word is encoded by itself, and the special tokens stand around all of them. A
    /// byte-level vocabulary has each word with a space before it, whatever its own rule for texts: the same as
    /// <c>tokenizer(words, is_split_into_words=True, truncation=True, max_length=…)</c> in transformers, with <c>add_prefix_space=True</c> for
    /// RoBERTa, which it asks for there.
    /// </summary>
    /// <param name="words">The words.</param>
    /// <param name="maxLength">The most ids, special ones included; what is more is cut as in <see cref="EncodeForModel"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The special tokens alone are more than <paramref name="maxLength"/>.</exception>
    public WordEncoding EncodeWordsForModel(IReadOnlyList<string> words, int maxLength = int.MaxValue)
    {
        ArgumentNullException.ThrowIfNull(words);
        List<int> ids = [], numbers = [];
        int silent = 0;
        foreach ((int number, string word) in words.Index())
        {
            List<int> one = word.Length == 0 ? [] : EncodeText(WordsBeginWithSpace && !char.IsWhiteSpace(word[0]) ? " " + word : word, parseSpecial: false);
            if (one.Count == 0) silent++;
            ids.AddRange(one);
            // Below every id, so that the template carries them to their places.
            numbers.AddRange(Enumerable.Repeat(-1 - number, one.Count));
        }
        (int[] all, int[] types) = _specials.Template.Build(ids, null, maxLength, _specials.TruncatesLeft);
        (int[] places, _) = _specials.Template.Build(numbers, null, maxLength, _specials.TruncatesLeft);
        return new WordEncoding(
            new EncodedText(all, types), [.. places.Select(place => place < 0 ? -1 - place : -1)], words.Count, places.Count(place => place < 0) < ids.Count)
        {
            WithoutTokens = silent,
        };
    }

    /// <summary>
    /// The text of some ids. Special tokens, the unknown token among them, are left out, and so are ids of <see cref="VocabularySize"/> and
    /// above: models have more rows than tokens where their makers rounded the number up. Bytes that are no UTF-8, which only a model can
    /// make, come as U+FFFD. WordPiece keeps no spaces: its words come with one between them, signs included.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is negative.</exception>
    public string Decode(params ReadOnlySpan<int> ids)
    {
        TokenDecoder decoder = StartDecoding();
        var text = new StringBuilder();
        foreach (int id in ids) text.Append(decoder.Append(id));
        return text.Append(decoder.Flush()).ToString();
    }

    /// <summary>Begins to decode ids that come one by one.</summary>
    /// <param name="continues">
    /// Whether they go on from a text that is there, for instance a prompt: then a space before the first word is part of the text.
    /// </param>
    public TokenDecoder StartDecoding(bool continues = false) => new(this, continues);

    /// <summary>A token's part of the text, a leading space that is the tokenizer's own included; nothing where there is none.</summary>
    internal ReadOnlySpan<byte> BytesOf(int id)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        return id < _bytes.Length ? _bytes[id] : [];
    }

    /// <summary>The ids of a text; a begin token is not put before one that the text itself begins with.</summary>
    internal List<int> EncodeTrusted(string text, bool addBegin, bool parseSpecial)
    {
        List<int> ids = EncodeText(text, parseSpecial);
        if (addBegin && !(parseSpecial && ids.Count > 0 && ids[0] == BeginId)) ids.Insert(0, BeginId!.Value);
        return ids;
    }

    /// <summary>
    /// How much of a text a token stands for: all tokens of a text have the same sum however it is cut. A special token counts as its name.
    /// </summary>
    internal int ExtentOf(int id) => _names.Value.TryGetValue(id, out string? name) ? name.Length : BytesOf(id).Length;

    /// <summary>Whether a token's leading space is no part of a text that starts with the token.</summary>
    internal virtual bool StartsWithPrefix(int id) => false;

    /// <summary>Whether the vocabulary knows a word inside of a text by the space before it.</summary>
    private protected virtual bool WordsBeginWithSpace => false;

    /// <summary>Adds the ids of a text, which is not empty.</summary>
    private protected abstract void Encode(string text, bool parseSpecial, List<int> ids);

    private List<int> EncodeText(string text, bool parseSpecial)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<int> ids = [];
        if (text.Length > 0) Encode(text, parseSpecial, ids);
        return ids;
    }
}
