using System.Text.Json;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The folder of a merged model.</summary>
internal static class MergedFolder
{
    /// <summary>Says what the folder was made of, and that it may be written again. Readers of model folders pass it over.</summary>
    public const string MarkName = "delora_merge.json";

    /// <summary>What is asked for.</summary>
    /// <param name="Model">The base model's folder.</param>
    /// <param name="Adapters">Folders of adapters, at least one; several are added.</param>
    /// <param name="Out">The folder to write.</param>
    /// <param name="SaveAs">The type of the weights in the files.</param>
    /// <param name="MaxShardBytes">The most bytes of one file.</param>
    /// <param name="Device">A name for <see cref="SelectedDevice.Open"/>.</param>
    public sealed record Request(string Model, string[] Adapters, string Out, DType SaveAs, long MaxShardBytes, string Device);

    /// <summary>Merges and writes. Nothing is written before the merged weights are known to be finite.</summary>
    /// <exception cref="InputException">The folder holds something else, or the adapter cannot be merged.</exception>
    /// <exception cref="DeloraFormatException">A file of the model or adapter is missing or wrong, or holds NaN or infinity.</exception>
    /// <exception cref="DeloraException">The system refused to write.</exception>
    public static int Write(CliConsole console, Request request, CancellationToken stop)
    {
        (string model, string[] adapters, string output) = (request.Model, request.Adapters, request.Out);
        if (adapters.Append(model).Any(used => ModelFolder.IsSame(used, output)))
            throw new InputException($"--out '{output}': is the folder of the model or of the adapter; another one is wanted");
        using OutputFolder folder = OutputFolder.Open(output);
        if (!folder.IsEmpty && !File.Exists(folder.File(MarkName)))
            throw new InputException($"--out '{output}': is not empty, and was not made by delora merge");

        using PretrainedModel merged = PretrainedModel.Load(model, SelectedDevice.Open(request.Device), console.Warn, strict: true);
        using PeftModel peft = ModelFolder.Adapt(console, merged, adapters, strict: true);
        int layers = peft.AdaptedLayers.Count();
        try
        {
            peft.MergeAndUnload();
            stop.ThrowIfCancellationRequested();
            AtomicFile.Write(
                folder.File(MarkName),
                stream => JsonSerializer.Serialize(
                    stream,
                    new Dictionary<string, object> { ["adapter"] = adapters is [var one] ? one : adapters, ["base_model"] = model }));
            CompanionFiles.Copy(model, folder.Path);
            merged.Save(folder.Path, request.SaveAs, request.MaxShardBytes);
        }
        catch (Exception e) when (e is NonFiniteException or InvalidOperationException)
        {
            throw new InputException($"{string.Join(", ", adapters)}: {e.Message}", e);
        }

        console.Output.WriteLine($"Model: {model}, {ModelFolder.Describe(merged.Config)}");
        string adapted = adapters.Length > 1 ? "Adapters" : "Adapter";
        console.Output.WriteLine($"{adapted}: {string.Join(" + ", adapters)}, merged into {Printable.Count(layers)} layers");
        console.Output.WriteLine($"Merged model: {folder.Path}");
        return ExitCode.Success;
    }
}
