using System.Collections.Frozen;
using System.Text;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Turns text into token ids and back: SentencePiece BPE (<c>tokenizer.model</c>, as Llama) or byte-level BPE (<c>tokenizer.json</c>, as
/// GPT-2). Immutable, and for any number of threads.
/// </summary>
/// <remarks>
/// Text is only text: a special token's name in it, for instance <c>&lt;/s&gt;</c>, is encoded letter by letter and never becomes that
/// token, so data can't end a document or take another role. Who wants the token takes its id from <see cref="SpecialTokens"/>. A lone
/// surrogate, which no UTF-8 can hold, is encoded as U+FFFD.
/// </remarks>
public abstract class TextTokenizer
{
    private readonly byte[][] _bytes;
    private readonly FrozenDictionary<string, byte[]> _files;

    private protected TextTokenizer(byte[][] bytes, TokenizerSpecials specials, IReadOnlyDictionary<string, byte[]> files)
    {
        _bytes = bytes;
        _files = files.ToFrozenDictionary();
        SpecialTokens = specials.Ids.ToFrozenDictionary();
        BeginId = specials.BeginId;
        EndId = specials.EndId;
        AddsBegin = specials.AddsBegin;
    }

    /// <summary>What it is, in words for a person: kind and size.</summary>
    public abstract string Description { get; }

    /// <summary>Number of tokens, special ones included: ids are 0 to this − 1.</summary>
    public int VocabularySize => _bytes.Length;

    /// <summary>The token that stands before a text (<c>bos</c>); null where there is none.</summary>
    public int? BeginId { get; }

    /// <summary>The token that ends a text (<c>eos</c>); null where there is none.</summary>
    public int? EndId { get; }

    /// <summary>Whether the model expects <see cref="BeginId"/> before every text (<c>add_bos_token</c>).</summary>
    public bool AddsBegin { get; }

    /// <summary>The tokens that no text is encoded to, and their ids.</summary>
    public IReadOnlyDictionary<string, int> SpecialTokens { get; }

    /// <summary>
    /// Reads a model folder's tokenizer: <c>tokenizer.model</c> (SentencePiece BPE with byte fallback), else <c>tokenizer.json</c>
    /// (byte-level BPE as GPT-2's). Every part of these that would change ids and is not understood is refused by its name. Where there is
    /// a <c>tokenizer_config.json</c> as well, its begin and end token count, its settings that would change ids otherwise
    /// (<c>do_lower_case</c>, <c>sp_model_kwargs.enable_sampling</c>, <c>add_prefix_space</c>) are refused, and the rest is not read.
    /// </summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="warn">Told what was ignored: it does not change the ids of a text, or adds tokens that no text is encoded to.</param>
    /// <exception cref="DeloraFormatException">There is none, or a file is wrong or not supported.</exception>
    public static TextTokenizer Load(string folder, Action<string>? warn = null)
    {
        ArgumentNullException.ThrowIfNull(folder);
        TokenizerFiles files = TokenizerFiles.Read(folder);
        return files.Has(TokenizerFiles.SentencePiece)
            ? SentencePieceTokenizer.Load(files, warn)
            : ByteLevelTokenizer.Load(files, warn);
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
    /// <exception cref="InvalidOperationException">A begin token is asked for and there is none.</exception>
    public IReadOnlyList<int> Encode(string text, bool addBegin = false)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<int> ids = [];
        if (addBegin) ids.Add(BeginId ?? throw new InvalidOperationException($"{Description} has no begin token."));
        if (text.Length > 0) Encode(text, ids);
        return ids;
    }

    /// <summary>What a classifier reads of a text: its ids, after the begin token where the model expects one, and token types of 0.</summary>
    /// <param name="text">The text.</param>
    /// <param name="pair">The second text; null for none.</param>
    /// <param name="maxLength">The most ids; more are cut at the end.</param>
    /// <returns>The ids, and for each the number of its text.</returns>
    /// <exception cref="NotSupportedException">A second text is given: these tokenizers say nothing about pairs.</exception>
    public (int[] Ids, int[] TokenTypeIds) EncodeForModel(string text, string? pair = null, int maxLength = int.MaxValue)
    {
        if (pair is not null) throw new NotSupportedException($"{Description}: pairs of texts are not supported.");
        int[] ids = [.. Encode(text, AddsBegin).Take(maxLength)];
        return (ids, new int[ids.Length]);
    }

    /// <summary>
    /// The text of some ids. Special tokens, the unknown token among them, are left out, and so are ids of <see cref="VocabularySize"/> and
    /// above: models have more rows than tokens where their makers rounded the number up. Bytes that are no UTF-8, which only a model can
    /// make, come as U+FFFD.
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

    /// <summary>How many bytes all tokens of a text have together.</summary>
    internal virtual int ByteCount(string text) => Encoding.UTF8.GetByteCount(text);

    /// <summary>Whether a token's leading space is no part of a text that starts with the token.</summary>
    internal virtual bool StartsWithPrefix(int id) => false;

    private protected abstract void Encode(string text, List<int> ids);
}
