using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Spectre.Console;

namespace Delora.Cli;

/// <summary>Shows an adapter folder: its configuration, and how far the adapter moves each layer, without the base model.</summary>
internal static class AdapterListing
{
    private const string KeyPrefix = "base_model.model.";

    /// <summary>Shows one adapter folder.</summary>
    /// <exception cref="DeloraFormatException">A file is missing or damaged, or the two do not go together.</exception>
    public static void Show(CliConsole console, string folder)
    {
        List<string> warnings = [];
        AdapterConfig config = AdapterConfig.Load(Path.Combine(folder, AdapterConfig.FileName), warnings.Add);
        using SafetensorsFile file = PeftModel.OpenWeights(folder, new SafetensorsOptions { Warn = warnings.Add });
        AdapterFile adapter = AdapterFile.Read(config, file, Devices.Cpu);

        console.Output.WriteLine(folder);
        foreach ((string field, string value) in Fields(config))
            console.Output.WriteLine($"  {field}: {value}");
        console.Ansi.Write(TableOf(adapter.Layers));
        foreach (SafetensorsEntry entry in adapter.Others)
            console.Output.WriteLine($"  {Printable.Text(entry.Name)}: {entry.StoredType} {entry.Shape}");
        console.Output.WriteLine(
            $"  {Printable.Count(adapter.Size)} adapter parameters in {Printable.Count(adapter.Layers.Count)} layers"
            + (adapter.Others.Count > 0 ? $" and {Printable.Count(adapter.Others.Count)} other tensors" : "")
            + $", {Printable.Bytes(file.Entries.Sum(x => x.ByteLength))}");
        foreach (string warning in warnings)
            console.Output.WriteLine($"  warning: {Printable.Text(warning)}");
    }

    private static IEnumerable<(string Field, string Value)> Fields(AdapterConfig config)
    {
        yield return ("peft_type", config.PeftType);
        if (config.BaseModelNameOrPath is { Length: > 0 } name)
            yield return ("base_model_name_or_path", Printable.Text(name));
        if (config.TaskType is { } task)
            yield return ("task_type", task);
        yield return ("r", Printable.Count(config.R));
        if (config is DeloraConfig delora)
        {
            yield return ("delora_lambda at the start", Printable.Number(delora.DeloraLambda));
            if (delora.ModuleDropout > 0)
                yield return ("module_dropout", Printable.Number(delora.ModuleDropout));
        }

        if (config is LoraConfig lora)
        {
            yield return ("lora_alpha", Printable.Number(lora.LoraAlpha) + (lora.UseRslora ? " (rank-stabilized)" : ""));
            if (lora.LoraDropout > 0)
                yield return ("lora_dropout", Printable.Number(lora.LoraDropout));
        }

        if (config.TargetModules is { } targets)
            yield return ("target_modules", Selection(targets));
        if (config.ExcludeModules is { } excluded)
            yield return ("exclude_modules", Selection(excluded));
        if (config.ModulesToSave is { IsEmpty: false } saved)
            yield return ("modules_to_save", Printable.Text(string.Join(", ", saved)));
        if (config.Bias != AdapterBias.None)
            yield return ("bias", config.Bias == AdapterBias.All ? "all" : "of adapted layers");
    }

    private static string Selection(ModuleSelector selector) =>
        Printable.Text(selector.Pattern is { } pattern ? pattern : string.Join(", ", selector.Names));

    private static Table TableOf(IReadOnlyList<AdapterLayer> layers)
    {
        Table table = new() { Border = TableBorder.Simple };
        table.AddColumn("Layer");
        foreach (string column in (string[])["Inputs", "Outputs", "Rank", "Strength", "‖ΔW‖", "Bound", "Of bound"])
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (AdapterLayer layer in layers)
        {
            string[] cells =
            [
                Printable.Text(layer.Name), Printable.Count(layer.In), Printable.Count(layer.Out), Printable.Count(layer.Rank),
                layer.Strength, Printable.Number(layer.Norm), layer.Bound is { } bound ? Printable.Number(bound) : "none",
                layer.Bound is > 0 ? $"{Printable.Number(Math.Round(100 * layer.Norm / layer.Bound.Value, 1))} %" : "–",
            ];
            table.AddRow(cells.Select(cell => new Text(cell)));
        }

        return table;
    }

    /// <summary>The name of a layer or tensor without what PEFT puts before it.</summary>
    internal static string WithoutPrefix(string key) =>
        key.StartsWith(KeyPrefix, StringComparison.Ordinal) ? key[KeyPrefix.Length..] : key;
}
