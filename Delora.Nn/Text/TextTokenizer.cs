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
    /// (byte-level BPE as GPT-2's); and beside it <c>tokenizer_config.json</c>, where there is one. Every part of a file that would
    /// change ids and is not understood is refused by its name.
    /// </summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="warn">Told what was ignored because it does not change ids.</param>
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
    /// <c>tokenizer.json</c> and <c>tokenizer_config.json</c> as HuggingFace's libraries read them. Each file is replaced as a whole.
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

    /// <summary>
    /// The text of some ids. Special tokens are left out; bytes that are no UTF-8, which only a model can make, come as U+FFFD.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such token.</exception>
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

    internal ReadOnlySpan<byte> BytesOf(int id)
    {
        if ((uint)id >= (uint)_bytes.Length)
            throw new ArgumentOutOfRangeException(nameof(id), id, $"The tokenizer has the ids 0 to {_bytes.Length - 1}.");
        return _bytes[id];
    }

    /// <summary>Whether a token's leading space is no part of a text that starts with the token.</summary>
    internal virtual bool StartsWithPrefix(int id) => false;

    private protected abstract void Encode(string text, List<int> ids);
}
