using System.Text;

namespace Delora.Cli;

/// <summary>Plain text, cut into pieces of whole lines.</summary>
internal static class TextPieces
{
    private const int LeastPiece = 512, LongestPiece = 4096;
    private const long MaxFileBytes = 256L << 20;

    /// <summary>The text of a UTF-8 file, without a byte order mark.</summary>
    /// <exception cref="InputException">It cannot be read, or is no UTF-8.</exception>
    public static string Read(string path)
    {
        if (!File.Exists(path))
            throw new InputException($"--text: there is no file '{path}'");
        try
        {
            if (new FileInfo(path).Length > MaxFileBytes)
                throw new InputException($"--text: '{path}' is larger than {MaxFileBytes} bytes");
            byte[] bytes = File.ReadAllBytes(path);
            int mark = bytes.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0;
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes, mark, bytes.Length - mark);
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"--text: '{path}' is not UTF-8", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"--text: '{path}' cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The pieces of a text, in order; together they are the text.</summary>
    public static IEnumerable<string> Of(string text)
    {
        for (int start = 0; start < text.Length;)
        {
            int end = LineEnd(text, Math.Min(text.Length, start + LeastPiece));
            yield return text[start..end];
            start = end;
        }
    }

    /// <summary>The first line end at or after a place, or where there is none for long, a place at which the text can be cut.</summary>
    public static int LineEnd(string text, int place)
    {
        int most = Math.Min(text.Length, place + LongestPiece - LeastPiece);
        for (int i = place; i < most; i++)
        {
            if (i > 0 && text[i - 1] == '\n')
                return i;
        }

        return most < text.Length && char.IsLowSurrogate(text[most]) ? most + 1 : most;
    }
}
