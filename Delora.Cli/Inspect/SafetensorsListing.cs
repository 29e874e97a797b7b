using Delora.Core;
using Spectre.Console;

namespace Delora.Cli;

/// <summary>Lists a safetensors file from its header alone: no tensor is read.</summary>
internal static class SafetensorsListing
{
    /// <summary>Tensors that are listed one by one; a file can name a million.</summary>
    private const int MostRows = 1000;

    /// <summary>Shows metadata, tensors and totals.</summary>
    /// <exception cref="DeloraFormatException">The file is not there, damaged, or something else.</exception>
    public static void Show(CliConsole console, string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        foreach ((string key, string value) in file.Metadata.OrderBy(x => x.Key, StringComparer.Ordinal))
            console.Output.WriteLine($"metadata {Printable.Text(key)}: {Printable.Text(value)}");
        Show(console, file.Entries);
    }

    /// <summary>Shows tensors and totals.</summary>
    public static void Show(CliConsole console, IReadOnlyList<SafetensorsEntry> entries)
    {
        if (entries.Count > 0)
            console.Ansi.Write(TableOf(entries));
        if (entries.Count > MostRows)
            console.Output.WriteLine($"and {Printable.Count(entries.Count - MostRows)} more tensors");
        foreach (string line in Totals(entries))
            console.Output.WriteLine(line);
    }

    private static Table TableOf(IReadOnlyList<SafetensorsEntry> entries)
    {
        Table table = new() { Border = TableBorder.Simple };
        table.AddColumns("Tensor", "Type", "Shape");
        table.AddColumn(new TableColumn("Elements").RightAligned());
        table.AddColumn(new TableColumn("Bytes").RightAligned());
        foreach (SafetensorsEntry entry in entries.Take(MostRows))
        {
            string[] cells =
            [
                Printable.Text(entry.Name), entry.StoredType + (entry.DType is null ? " *" : ""), entry.Shape.ToString(),
                Printable.Count(entry.Shape.ElementCount), Printable.Count(entry.ByteLength),
            ];
            table.AddRow(cells.Select(cell => new Text(cell)));
        }

        return table;
    }

    private static IEnumerable<string> Totals(IReadOnlyList<SafetensorsEntry> entries)
    {
        long bytes = entries.Sum(x => x.ByteLength);
        long elements = entries.Sum(x => x.Shape.ElementCount);
        yield return $"{Printable.Count(entries.Count)} tensors, {Printable.Count(elements)} elements, {Printable.Bytes(bytes)}";
        foreach (var type in entries.GroupBy(x => x.StoredType).OrderBy(x => x.Key, StringComparer.Ordinal))
            yield return $"  {type.Key}: {Printable.Count(type.Count())} tensors, {Printable.Bytes(type.Sum(x => x.ByteLength))}";
        if (entries.Any(x => x.DType is null))
            yield return "* can be listed, not computed with";
    }
}
