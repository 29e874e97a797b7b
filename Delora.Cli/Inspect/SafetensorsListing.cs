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
        if (file.Entries.Count > 0)
            console.Ansi.Write(TableOf(file));
        if (file.Entries.Count > MostRows)
            console.Output.WriteLine($"and {Printable.Count(file.Entries.Count - MostRows)} more tensors");
        foreach (string line in Totals(file))
            console.Output.WriteLine(line);
    }

    private static Table TableOf(SafetensorsFile file)
    {
        Table table = new() { Border = TableBorder.Simple };
        table.AddColumns("Tensor", "Type", "Shape");
        table.AddColumn(new TableColumn("Elements").RightAligned());
        table.AddColumn(new TableColumn("Bytes").RightAligned());
        foreach (SafetensorsEntry entry in file.Entries.Take(MostRows))
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

    private static IEnumerable<string> Totals(SafetensorsFile file)
    {
        long bytes = file.Entries.Sum(x => x.ByteLength);
        long elements = file.Entries.Sum(x => x.Shape.ElementCount);
        yield return $"{Printable.Count(file.Entries.Count)} tensors, {Printable.Count(elements)} elements, {Printable.Bytes(bytes)}";
        foreach (var type in file.Entries.GroupBy(x => x.StoredType).OrderBy(x => x.Key, StringComparer.Ordinal))
            yield return $"  {type.Key}: {Printable.Count(type.Count())} tensors, {Printable.Bytes(type.Sum(x => x.ByteLength))}";
        if (file.Entries.Any(x => x.DType is null))
            yield return "* can be listed, not computed with";
    }
}
