using System.Text.Json;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The folder of a merged model.</summary>
internal static class MergedFolder
{
    /// <summary>Says what the folder was made of, and that it may be written again. Readers of model folders pass it over.</summary>
    public const string MarkName = "delora_merge.json";

    /// <summary>Merges and writes. Nothing is written before the merged weights are known to be finite.</summary>
    /// <exception cref="InputException">The folder holds something else, or the adapter cannot be merged.</exception>
    /// <exception cref="DeloraFormatException">A file of the model or adapter is missing or wrong, or holds NaN or infinity.</exception>
    /// <exception cref="DeloraException">The system refused to write.</exception>
    public static int Write(CliConsole console, string model, string adapter, string output, string device, CancellationToken stop)
    {
        if (ModelFolder.IsSame(model, output) || ModelFolder.IsSame(adapter, output))
            throw new InputException($"--out '{output}': is the folder of the model or of the adapter; another one is wanted");
        using OutputFolder folder = OutputFolder.Open(output);
        if (!folder.IsEmpty && !File.Exists(folder.File(MarkName)))
            throw new InputException($"--out '{output}': is not empty, and was not made by delora merge");

        using PretrainedModel merged = PretrainedModel.Load(model, SelectedDevice.Open(device), console.Warn, strict: true);
        using PeftModel peft = new(merged);
        peft.Load(adapter, warn: console.Warn, strict: true);
        int layers = peft.AdaptedLayers.Count();
        try
        {
            peft.Merge();
        }
        catch (Exception e) when (e is NonFiniteException or InvalidOperationException)
        {
            throw new InputException($"{adapter}: {e.Message}", e);
        }

        stop.ThrowIfCancellationRequested();
        AtomicFile.Write(
            folder.File(MarkName),
            stream => JsonSerializer.Serialize(stream, new Dictionary<string, string> { ["adapter"] = adapter, ["base_model"] = model }));
        CompanionFiles.Copy(model, folder.Path);
        merged.Save(folder.Path);
        console.Output.WriteLine($"Model: {model}, {ModelFolder.Describe(merged.Config)}");
        console.Output.WriteLine($"Adapter: {adapter}, merged into {Printable.Count(layers)} layers");
        console.Output.WriteLine($"Merged model: {folder.Path}");
        return ExitCode.Success;
    }
}
