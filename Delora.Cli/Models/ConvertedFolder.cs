using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The folder of a LoRA adapter that is made of others.</summary>
internal static class ConvertedFolder
{
    /// <summary>Reads the adapters, adds them with their weights and writes the sum. Nothing is written before it is known to be finite.</summary>
    /// <exception cref="InputException">The adapters cannot be added or cut so far, or the folder has an adapter.</exception>
    /// <exception cref="DeloraFormatException">A file of an adapter is missing or wrong, or holds NaN or infinity.</exception>
    /// <exception cref="DeloraException">The system refused to write.</exception>
    public static int Write(
        CliConsole console, IReadOnlyList<(string Folder, double Weight)> terms, string output, RankChoice rank, CancellationToken stop)
    {
        using OutputFolder folder = OutputFolder.Open(output);
        if (File.Exists(folder.File(AdapterConfig.FileName)) || File.Exists(folder.File(PeftModel.WeightsFileName)))
            throw new InputException($"output folder '{output}': holds an adapter already; another one is wanted");
        List<(AdapterFolder Adapter, double Weight)> opened = [];
        try
        {
            foreach ((string path, double weight) in terms) opened.Add((AdapterFolder.Open(path, Devices.Cpu, console.Warn, strict: true), weight));
            string[] bases = [.. opened.Select(term => term.Adapter.Config.BaseModelNameOrPath).OfType<string>().Distinct()];
            if (bases.Length > 1)
                console.Warn($"the adapters name different base models: {string.Join(", ", bases)}; their sum names none");
            stop.ThrowIfCancellationRequested();
            LoraConfig config = AdapterFolder.SaveSum(folder.Path, opened, rank);
            foreach ((AdapterFolder adapter, double weight) in opened)
                console.Output.WriteLine(
                    $"Adapter: {Printable.Text(adapter.Folder)}, {adapter.Config.PeftType} of rank {adapter.Config.R}"
                    + (opened.Count > 1 || weight != 1 ? $", times {Printable.Number(weight)}" : ""));
            int layers = opened.SelectMany(term => term.Adapter.Layers).Select(layer => layer.Key).Distinct().Count();
            console.Output.WriteLine($"LoRA adapter: {folder.Path}, {Ranks(config)}, in {Printable.Count(layers)} layers");
            return ExitCode.Success;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException or ShapeException or NonFiniteException)
        {
            throw new InputException(e is ArgumentException wrong ? Printable.Reason(wrong) : e.Message, e);
        }
        finally
        {
            foreach ((AdapterFolder adapter, _) in opened) adapter.Dispose();
        }
    }

    private static string Ranks(LoraConfig config)
    {
        int[] all = [.. config.RankPattern.Select(pair => pair.Value).Append(config.R)];
        return all.Min() == all.Max() ? $"rank {config.R}" : $"ranks {all.Min()} to {all.Max()}";
    }
}
