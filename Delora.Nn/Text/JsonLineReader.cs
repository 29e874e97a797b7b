using Delora.Core;

namespace Delora.Nn;

/// <summary>Reads JSON lines: an object on each line, empty lines between.</summary>
internal static class JsonLineReader
{
    /// <summary>The objects of a file, with the numbers of their lines.</summary>
    /// <param name="bytes">UTF-8, with or without a byte order mark.</param>
    /// <param name="file">The name that errors give.</param>
    /// <exception cref="DeloraFormatException">A line is no object; it is named.</exception>
    internal static IEnumerable<(int Line, JsonFields Fields)> Read(ReadOnlyMemory<byte> bytes, string file)
    {
        if (bytes.Span.StartsWith("\uFEFF"u8)) bytes = bytes[3..];
        for (int line = 1; !bytes.IsEmpty; line++)
        {
            int end = bytes.Span.IndexOf((byte)'\n');
            ReadOnlyMemory<byte> one = end < 0 ? bytes : bytes[..end];
            bytes = end < 0 ? default : bytes[(end + 1)..];
            if (!one.Span.Trim(" \t\r"u8).IsEmpty) yield return (line, JsonFields.Parse(one, file, $"line {line}"));
        }
    }
}
