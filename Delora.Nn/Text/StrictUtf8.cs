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
        Check(bytes, file);
        return Encoding.GetString(bytes.StartsWith("\uFEFF"u8) ? bytes[3..] : bytes);
    }

    /// <summary>Refuses what is not UTF-8.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="file">The file that the error names.</param>
    /// <param name="place">Where in the file they begin; null where that is its start.</param>
    /// <exception cref="DeloraFormatException">Names the first byte that does not belong there.</exception>
    public static void Check(ReadOnlySpan<byte> bytes, string file, string? place = null)
    {
        if (Utf8.IsValid(bytes)) return;
        int at = 0;
        while (Rune.DecodeFromUtf8(bytes[at..], out _, out int length) == OperationStatus.Done) at += length;
        throw new DeloraFormatException(file, place is null ? $"byte {at}" : $"{place}, byte {at}", "is not UTF-8.");
    }
}
