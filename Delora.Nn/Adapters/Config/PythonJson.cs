using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Delora.Nn;

/// <summary>
/// Writes JSON exactly as Python's <c>json.dumps(value, indent=2, sort_keys=True)</c> does, so that a file that only went through here
/// is unchanged to the byte, but for whole numbers that were written as floats. One difference: objects inside keep the order of their keys, because
/// PEFT takes the first pattern that matches.
/// </summary>
internal static class PythonJson
{
    /// <summary>
    /// Writes an object. Values are null, bool, string, int, long, double, <see cref="JsonElement"/>, lists and lists of pairs of those.
    /// </summary>
    public static string Write(SortedDictionary<string, object?> fields)
    {
        var text = new StringBuilder();
        WriteItems(text, '{', '}', 0, fields, field => WriteField(text, field.Key, field.Value, 1));
        return text.ToString();
    }

    /// <summary>A Python float: with a decimal point or an exponent.</summary>
    public static string Float(double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture).Replace('E', 'e');
        return text.Contains('e') || text.Contains('.') ? text : text + ".0";
    }

    private static void WriteValue(StringBuilder text, object? value, int depth)
    {
        switch (value)
        {
            case null: text.Append("null"); break;
            case bool flag: text.Append(flag ? "true" : "false"); break;
            case string words: WriteText(text, words); break;
            case int or long: text.Append(((IFormattable)value).ToString(null, CultureInfo.InvariantCulture)); break;
            case double number: text.Append(Float(number)); break;
            case JsonElement element: WriteElement(text, element, depth); break;
            case IEnumerable<KeyValuePair<string, object>> pairs:
                WriteItems(text, '{', '}', depth, pairs, pair => WriteField(text, pair.Key, pair.Value, depth + 1));
                break;
            case IEnumerable<object> items: WriteItems(text, '[', ']', depth, items, item => WriteValue(text, item, depth + 1)); break;
            default: throw new ArgumentException($"{value.GetType()} has no JSON form.", nameof(value));
        }
    }

    private static void WriteElement(StringBuilder text, JsonElement element, int depth)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                WriteItems(text, '{', '}', depth, element.EnumerateObject(), property =>
                    WriteField(text, property.Name, property.Value, depth + 1));
                break;
            case JsonValueKind.Array:
                WriteItems(text, '[', ']', depth, element.EnumerateArray(), item => WriteElement(text, item, depth + 1));
                break;
            case JsonValueKind.String: WriteText(text, element.GetString()!); break;
            default: text.Append(element.GetRawText()); break;
        }
    }

    private static void WriteField(StringBuilder text, string key, object? value, int depth)
    {
        WriteText(text, key);
        text.Append(": ");
        WriteValue(text, value, depth);
    }

    private static void WriteItems<T>(StringBuilder text, char open, char close, int depth, IEnumerable<T> items, Action<T> write)
    {
        text.Append(open);
        bool any = false;
        foreach (T item in items)
        {
            text.Append(any ? ",\n" : "\n").Append(' ', 2 * depth + 2);
            write(item);
            any = true;
        }
        if (any) text.Append('\n').Append(' ', 2 * depth);
        text.Append(close);
    }

    private static void WriteText(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (char c in value)
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                >= ' ' and <= '~' => text.Append(c),
                _ => text.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)),
            };
        text.Append('"');
    }
}
