using System.Buffers;
using System.Text;
using System.Text.Unicode;
using Delora.Core;

namespace Delora.Nn;

/// <summary>UTF-8 that refuses bytes that are none, instead of replacing them.</summary>
internal static class StrictUtf8
{
    public static readonly UTF8Encoding Encoding = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The text of a file's bytes, without a byte order mark.</summary>
    /// <exception cref="DeloraFormatException">Names the first byte that does not belong there.</exception>
    public static string Decode(ReadOnlySpan<byte> bytes, string file)
    {
        int mark = bytes.StartsWith("\uFEFF"u8) ? 3 : 0;
        char[] text = new char[bytes.Length - mark];
        return Utf8.ToUtf16(bytes[mark..], text, out int read, out int written, replaceInvalidSequences: false) == OperationStatus.Done
            ? new string(text, 0, written)
            : throw new DeloraFormatException(file, $"byte {mark + read}", "is not UTF-8.");
    }
}
