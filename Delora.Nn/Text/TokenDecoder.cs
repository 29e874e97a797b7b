using System.Text;

namespace Delora.Nn;

/// <summary>
/// Decodes ids that come one by one, as a model makes them. A character whose bytes lie in several tokens comes out with the last of
/// them, never by halves; all pieces together are what <see cref="TextTokenizer.Decode"/> gives for all ids. Made by
/// <see cref="TextTokenizer.StartDecoding"/>; one thread at a time.
/// </summary>
public sealed class TokenDecoder
{
    private readonly TextTokenizer _tokenizer;
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private bool _atStart;

    internal TokenDecoder(TextTokenizer tokenizer, bool continues)
    {
        _tokenizer = tokenizer;
        _atStart = !continues;
    }

    /// <summary>
    /// The text that is complete with one more id; often empty. A token without text (a special one, or one that only the model has, see
    /// <see cref="TextTokenizer.Decode"/>) ends a character that was begun, as <see cref="Flush"/> does.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is negative; the decoder is as it was.</exception>
    public string Append(int id)
    {
        ReadOnlySpan<byte> bytes = _tokenizer.BytesOf(id);
        if (bytes.IsEmpty) return Flush();
        if (_atStart && _tokenizer.StartsWithPrefix(id)) bytes = bytes[1..];
        _atStart = false;
        return Next(bytes, flush: false);
    }

    /// <summary>What is left at the end: U+FFFD for a character that was begun and not completed, else nothing.</summary>
    public string Flush() => Next([], flush: true);

    private string Next(ReadOnlySpan<byte> bytes, bool flush)
    {
        Span<char> text = stackalloc char[64];
        int most = _decoder.GetCharCount(bytes, flush);
        if (most > text.Length) text = new char[most];
        return new string(text[.._decoder.GetChars(bytes, text, flush)]);
    }
}
