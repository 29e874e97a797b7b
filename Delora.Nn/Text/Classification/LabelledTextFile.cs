using System.Globalization;
using System.Text.Json;
using CsvHelper;
using CsvHelper.Configuration;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Reads texts, with or without labels: JSON lines, tables with a header, or one text a line.</summary>
internal static class LabelledTextFile
{
    private const string TextField = "text", PairField = "text_pair", LabelField = "label", LabelsField = "labels";
    private const int MaxBytes = 1 << 29;

    /// <summary>Reads a file by the end of its name; see <see cref="ClassificationData.Load"/>.</summary>
    /// <param name="path">The file.</param>
    /// <param name="labelled">Whether each text must have a label; else labels are passed over.</param>
    /// <param name="warn">Told of fields that are not used.</param>
    /// <exception cref="DeloraFormatException">Names the line.</exception>
    internal static IReadOnlyList<LabelledText> Read(string path, bool labelled, Action<string>? warn)
    {
        byte[] bytes = RegularFile.ReadAll(path, MaxBytes);
        List<LabelledText> texts = Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".jsonl" or ".json" => ReadJson(path, bytes, labelled, warn),
            ".csv" => ReadTable(path, StrictUtf8.Decode(bytes, path), ",", labelled, warn),
            ".tsv" => ReadTable(path, StrictUtf8.Decode(bytes, path), "\t", labelled, warn),
            _ when !labelled => ReadLines(StrictUtf8.Decode(bytes, path)),
            var other => throw new DeloraFormatException(path, null, $"'{other}' can hold no labels; .jsonl, .csv and .tsv can."),
        };
        return texts.Count > 0 ? texts : throw new DeloraFormatException(path, null, "holds no text.");
    }

    private static List<LabelledText> ReadJson(string path, ReadOnlyMemory<byte> bytes, bool labelled, Action<string>? warn)
    {
        List<LabelledText> texts = [];
        HashSet<string> ignored = [];
        foreach ((int line, JsonFields fields) in JsonLineReader.Read(bytes, path))
        {
            string text = fields.Text(TextField, null) ?? throw fields.Wrong(TextField, "is missing.");
            string? pair = fields.Text(PairField, null);
            bool single = fields.TryTake(LabelField, out JsonElement label), several = fields.TryTake(LabelsField, out JsonElement labels);
            if (labelled && single == several) throw fields.Wrong($"must have either '{LabelField}' or '{LabelsField}'.");
            texts.Add(new LabelledText(text, pair, labelled ? LabelOf(fields, single ? LabelField : LabelsField, single ? label : labels) : null, line));
            foreach ((string field, JsonElement _) in fields.Left)
                if (ignored.Add(field)) warn?.Invoke($"{path}: line {line}: the field '{field}' is ignored.");
        }
        return texts;
    }

    /// <summary>A label, or several, as JSON has them.</summary>
    internal static LabelValue LabelOf(JsonFields fields, string field, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => new LabelValue(LabelForm.Name, [value.GetString()!]),
        JsonValueKind.Number => new LabelValue(LabelForm.Number, [value.GetRawText()]),
        JsonValueKind.Array => new LabelValue(LabelForm.List, [.. value.EnumerateArray().Select(item => item.ValueKind switch
        {
            JsonValueKind.String => item.GetString()!,
            JsonValueKind.Number => item.GetRawText(),
            _ => throw fields.Wrong(field, $"must hold names and numbers only, not {JsonFields.Describe(item)}."),
        })]),
        _ => throw fields.Wrong(field, $"must be a name, a number, or a list of them, not {JsonFields.Describe(value)}."),
    };

    /// <summary>A table as RFC 4180 has it, with a header.</summary>
    private static List<LabelledText> ReadTable(string path, string contents, string delimiter, bool labelled, Action<string>? warn)
    {
        List<LabelledText> texts = [];
        var configuration = new CsvConfiguration(CultureInfo.InvariantCulture) { Delimiter = delimiter, DetectColumnCountChanges = true };
        using var table = new CsvReader(new StringReader(contents), configuration);
        try
        {
            if (!table.Read() || !table.ReadHeader()) throw new DeloraFormatException(path, null, "holds no header.");
            string[] header = table.HeaderRecord!;
            if (header.FirstOrDefault(name => header.Count(other => other == name) > 1) is { } twice)
                throw new DeloraFormatException(path, "line 1", $"names the column '{twice}' twice.");
            if (!header.Contains(TextField)) throw Missing($"'{TextField}'");
            if (labelled && header.Contains(LabelField) && header.Contains(LabelsField))
                throw new DeloraFormatException(path, "line 1", $"must name either '{LabelField}' or '{LabelsField}'.");
            string label = header.Contains(LabelField) ? LabelField : LabelsField;
            if (labelled && !header.Contains(label)) throw Missing($"'{LabelField}' or '{LabelsField}'");
            foreach (string name in header.Except([TextField, PairField, LabelField, LabelsField]))
                warn?.Invoke($"{path}: the column '{name}' is ignored.");
            while (table.Read())
                texts.Add(new LabelledText(
                    table.GetField(TextField)!, header.Contains(PairField) ? table.GetField(PairField) : null,
                    labelled ? new LabelValue(LabelForm.Cell, [table.GetField(label)!]) : null, table.Parser.RawRow));
        }
        catch (CsvHelperException error)
        {
            throw new DeloraFormatException(path, $"line {table.Parser.RawRow}",
                error is BadDataException ? "has another number of cells than the header, or a quote that does not belong there." : error.Message, error);
        }
        return texts;

        DeloraFormatException Missing(string what) =>
            new(path, "line 1", $"names no column {what}; it names {string.Join(", ", table.HeaderRecord!)}.");
    }

    private static List<LabelledText> ReadLines(string contents)
    {
        List<LabelledText> texts = [];
        int line = 0;
        foreach (string one in contents.Split('\n'))
        {
            line++;
            if (one.TrimEnd('\r') is { Length: > 0 } text) texts.Add(new LabelledText(text, null, null, line));
        }
        return texts;
    }
}
