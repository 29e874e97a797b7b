using System.Text;

namespace Delora.Cli;

/// <summary>A prompt that lies in a file.</summary>
internal static class PromptFile
{
    /// <summary>More than any context holds.</summary>
    private const int MaxBytes = 1 << 24;

    /// <summary>The file's text without the line break at its end, which editors put there. Pipes are read to their end.</summary>
    /// <exception cref="InputException">It cannot be read, is not UTF-8, or far too long.</exception>
    public static string Read(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            using MemoryStream bytes = new();
            byte[] buffer = new byte[1 << 16];
            for (int count; (count = file.Read(buffer)) > 0;)
            {
                bytes.Write(buffer, 0, count);
                if (bytes.Length > MaxBytes)
                    throw new InputException($"{path}: has more than {MaxBytes} bytes; no model can go on from that");
            }

            string text = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(bytes.ToArray());
            text = text.TrimStart('\uFEFF');
            return text.EndsWith("\r\n", StringComparison.Ordinal) ? text[..^2] : text.EndsWith('\n') ? text[..^1] : text;
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"{path}: is not UTF-8", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}", e);
        }
    }
}
