using Delora.Core;

namespace Delora.Nn;

/// <summary>Reads text files as training data of a language model.</summary>
public static class TextData
{
    /// <summary>Text beyond it does not belong into memory at once; a string can hold twice as much.</summary>
    private const int MaxBytes = 1 << 29;

    /// <summary>
    /// Reads a file. <c>.jsonl</c> and <c>.json</c> hold one JSON object a line: <c>{"text": …}</c>, or
    /// <c>{"prompt": …, "completion": …}</c>, whose prompt is no target; each is a row of its own (<see cref="TokenExamples"/>), the text
    /// between the begin token (where the model expects one) and the end token. Every other file is one document of plain text, cut into
    /// rows (<see cref="TokenBlocks"/>). All are UTF-8, with or without a byte order mark; other bytes are refused with their place.
    /// </summary>
    /// <remarks>
    /// Prompt and completion are encoded together, as the model will see them: a token with characters of both belongs to the completion.
    /// Rows that have no target, because the completion begins beyond <paramref name="length"/> positions, are left out.
    /// </remarks>
    /// <param name="path">The file.</param>
    /// <param name="tokenizer">Encodes it.</param>
    /// <param name="length">Positions in a row; JSON rows may be shorter, and longer ones are cut.</param>
    /// <param name="warn">Told how many rows were cut or left out, and of fields that are not used.</param>
    /// <param name="parseSpecial">
    /// Whether names of special tokens in the texts become these tokens: for conversations that were written with a chat template. Only for
    /// data that is trusted.
    /// </param>
    /// <exception cref="DeloraFormatException">
    /// The file can't be read, a line is wrong, or nothing is there to learn: no row, or every target masked.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="length"/> is below 1, or for plain text above <see cref="TokenBlocks.MaxLength"/>.
    /// </exception>
    public static TokenRows Load(
        string path, TextTokenizer tokenizer, int length, Action<string>? warn = null, bool parseSpecial = false)
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        byte[] bytes = RegularFile.ReadAll(path, MaxBytes);
        if (Path.GetExtension(path).ToLowerInvariant() is ".jsonl" or ".json")
            return new JsonLines(path, tokenizer, length, parseSpecial, warn).Read(bytes);

        string text = StrictUtf8.Decode(bytes, path);
        if (text.Length == 0) throw new DeloraFormatException(path, null, "holds no text.");
        List<int> ids = TokenBlocks.Document(tokenizer, text, parseSpecial);
        return ids.Count >= 2
            ? new TokenBlocks(ids, length)
            : throw new DeloraFormatException(path, null, "holds a single token: there is nothing to learn.");
    }
}
