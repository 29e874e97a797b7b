using System.Globalization;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Spectre.Console;

namespace Delora.Cli;

/// <summary>Shows what memory a model's linear layers take in a storage, and how far each is from the file.</summary>
internal static class FrozenListing
{
    /// <exception cref="DeloraFormatException">A file is missing or wrong.</exception>
    /// <exception cref="NonFiniteException">A weight cannot be kept so.</exception>
    public static void Show(CliConsole console, string folder, FrozenWeightOptions options)
    {
        using PretrainedModel model = PretrainedModel.Load(folder, Devices.Cpu, console.Warn, frozen: options);
        FrozenWeightReport report = FrozenWeightReport.Of(model);
        Table table = new() { Border = TableBorder.Simple };
        table.AddColumns("Layer", "Shape", "Kept as");
        foreach (string title in (string[])["Bytes", "Of float32", "Relative error", "Largest error"])
            table.AddColumn(new TableColumn(title).RightAligned());
        foreach (FrozenLayer layer in report.Layers)
        {
            string[] cells =
            [
                Printable.Text(layer.Name), layer.Shape.ToString(), layer.Storage.Name, Printable.Count(layer.ByteLength),
                string.Create(CultureInfo.InvariantCulture, $"{100.0 * layer.ByteLength / layer.Float32Length:F1} %"),
                Printable.Number(layer.Error.Relative), Printable.Number(layer.Error.Largest),
            ];
            table.AddRow(cells.Select(cell => new Text(cell)));
        }

        console.Ansi.Write(table);
        console.Output.WriteLine($"Weights: {ModelFolder.Describe(report)}");
    }
}
