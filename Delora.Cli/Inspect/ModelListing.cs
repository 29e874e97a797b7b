using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>Shows a model folder from its configuration and the headers of its files: no tensor is read.</summary>
internal static class ModelListing
{
    /// <exception cref="DeloraFormatException">A file is missing or wrong, or the family is not supported.</exception>
    public static void Show(CliConsole console, string folder)
    {
        List<string> warnings = [];
        ModelConfig config = ModelConfig.Load(folder, warnings.Add);
        using WeightFiles weights = WeightFiles.Open(folder);
        console.Output.WriteLine(folder);
        console.Output.WriteLine($"  {ModelFolder.Describe(config)}");
        SafetensorsListing.Show(console, [.. weights.Entries]);
        foreach (string warning in warnings)
            console.Output.WriteLine($"  warning: {Printable.Text(warning)}");
    }
}
