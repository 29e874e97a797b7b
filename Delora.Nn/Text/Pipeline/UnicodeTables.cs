using System.Globalization;
using System.Reflection;

namespace Delora.Nn;

/// <summary>The tables of characters that are resources of this assembly: lines of hexadecimal numbers.</summary>
internal static class UnicodeTables
{
    /// <summary>The lines of a table, to the end or to an empty line, each cut at its blanks.</summary>
    public static IEnumerable<string[]> Lines(TextReader reader)
    {
        while (reader.ReadLine() is { Length: > 0 } line) yield return line.Split(' ');
    }

    public static StreamReader Open(string name) => new(Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!);

    public static int Hex(string digits) => int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
