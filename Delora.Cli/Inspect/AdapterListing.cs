using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Spectre.Console;

namespace Delora.Cli;

/// <summary>Shows an adapter folder: its configuration, and how far the adapter moves each layer, without the base model.</summary>
internal static class AdapterListing
{
    /// <summary>Shows one adapter folder.</summary>
    /// <exception cref="DeloraFormatException">A file is missing or damaged, or the two do not go together.</exception>
    public static void Show(CliConsole console, string folder)
    {
        List<string> warnings = [];
        using AdapterFolder adapter = AdapterFolder.Open(folder, Devices.Cpu, warnings.Add);

        console.Output.WriteLine(folder);
        foreach ((string field, string value) in Fields(adapter.Config))
            console.Output.WriteLine($"  {field}: {value}");
        console.Ansi.Write(TableOf(adapter));
        foreach (SafetensorsEntry entry in adapter.Others)
            console.Output.WriteLine($"  {Printable.Text(entry.Name)}: {entry.StoredType} {entry.Shape}");
        console.Output.WriteLine(
            $"  {Printable.Count(adapter.ParameterCount)} adapter parameters in {Printable.Count(adapter.Layers.Count)} layers"
            + (adapter.Others.Count > 0 ? $" and {Printable.Count(adapter.Others.Count)} other tensors" : "")
            + $", {Printable.Bytes(adapter.Entries.Sum(x => x.ByteLength))}");
        if (adapter.Config is DeloraConfig)
            console.Output.WriteLine("  ‖ΔW‖ is at most λ times the largest column norm w of the base weight; ‖ΔW/w‖, in units of its columns, at most λ.");
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

    private static Table TableOf(AdapterFolder adapter)
    {
        Table table = new() { Border = TableBorder.Simple };
        table.AddColumn("Layer");
        string[] columns = ["Inputs", "Outputs", "Rank", "Strength", "‖ΔW‖", "Bound", "Of bound"];
        bool delora = adapter.Config is DeloraConfig;
        foreach (string column in delora ? [.. columns, "‖ΔW/w‖", "Of λ"] : columns)
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (((_, LinearAdapter layer), LayerBound bound) in adapter.Layers.Zip(adapter.BoundReport().Layers))
        {
            string strength = layer is LoraAdapter lora ? $"α/r = {Printable.Number(lora.Scaling)}" : $"λ = {Printable.Number(bound.Lambda!.Value)}";
            string[] cells =
            [
                Printable.Text(bound.Layer), Printable.Count(layer.In), Printable.Count(layer.Out), Printable.Count(bound.Rank), strength,
                Printable.Number(bound.Norm), bound.Bound is { } most ? Printable.Number(most) : "none", Share(bound.Utilization),
            ];
            string[] direction = delora ? [Printable.Number(bound.DirectionNorm!.Value), Share(bound.DirectionUtilization)] : [];
            table.AddRow([.. cells.Concat(direction).Select(cell => new Text(cell))]);
        }

        return table;
    }

    private static string Share(double? value) => value is { } share ? $"{Printable.Number(Math.Round(100 * share, 1))} %" : "–";
}
