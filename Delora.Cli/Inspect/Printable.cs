using System.Globalization;
using System.Text;

namespace Delora.Cli;

/// <summary>Text and numbers as a terminal may see them.</summary>
internal static class Printable
{
    private const int Longest = 200;

    /// <summary>
    /// Text from a file without its power over a terminal: control and formatting characters are escaped, and a very long text is cut.
    /// </summary>
    public static string Text(string text)
    {
        StringBuilder result = new();
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (result.Length >= Longest)
                return result.Append(CultureInfo.InvariantCulture, $"… ({text.Length} characters)").ToString();
            bool hidden = Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format
                or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
            if (hidden)
                result.Append(CultureInfo.InvariantCulture, $"\\u{rune.Value:x4}");
            else
                result.Append(rune);
        }

        return result.ToString();
    }

    /// <summary>A message as one line.</summary>
    public static string Line(string message) =>
        string.Join(' ', message.Split((char[])['\r', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            // Names from files may be in it, and with them what would command a terminal.
            .Select(part => string.Concat(part.Select(x => char.IsControl(x) ? '\uFFFD' : x))));

    /// <summary>What a wrong argument's exception says, without the name that the argument has in the code.</summary>
    public static string Reason(ArgumentException error)
    {
        int end = error.Message.IndexOf(" (Parameter '", StringComparison.Ordinal);
        return end < 0 ? error.Message : error.Message[..end];
    }

    /// <summary>A path as a shell takes it for one word.</summary>
    public static string Word(string path) =>
        path.Length > 0 && path.All(x => char.IsAsciiLetterOrDigit(x) || "/\\._-:".Contains(x, StringComparison.Ordinal))
            ? path
            : $"\"{path}\"";

    /// <summary>A count with separators.</summary>
    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A number in few digits.</summary>
    public static string Number(double value) => value.ToString("G5", CultureInfo.InvariantCulture);

    /// <summary>Bytes in the largest unit that leaves at least one.</summary>
    public static string Bytes(long bytes)
    {
        string[] units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
        double value = bytes;
        int unit = 0;
        for (; value >= 1024 && unit < units.Length - 1; unit++)
            value /= 1024;
        return unit == 0
            ? $"{Count(bytes)} bytes"
            : string.Create(CultureInfo.InvariantCulture, $"{value:F1} {units[unit]}");
    }
}
