using System.Text;

namespace Delora.Nn;

/// <summary>The state of one module with adapters: PEFT's <c>TunerLayerStatus</c>. Null stands for PEFT's <c>irregular</c>.</summary>
public sealed record AdapterLayerStatus
{
    /// <summary>The module's name as PEFT gives it, <c>model.</c> before its name in the base model.</summary>
    public required string Name { get; init; }

    /// <summary>PEFT's class: <c>delora.DeloraLinear</c>, <c>lora.Linear</c>, or <c>ModulesToSaveWrapper</c>.</summary>
    public required string ModuleType { get; init; }

    /// <summary>Whether active adapters act.</summary>
    public required bool? Enabled { get; init; }

    /// <summary>Names of the active adapters.</summary>
    public required IReadOnlyList<string> ActiveAdapters { get; init; }

    /// <summary>Names of the merged adapters, in the order of merging.</summary>
    public required IReadOnlyList<string> MergedAdapters { get; init; }

    /// <summary>Whether each adapter is trained; null where only a part of its parameters is.</summary>
    public required IReadOnlyDictionary<string, bool?> RequiresGrad { get; init; }

    /// <summary>Names of all adapters of the module, sorted.</summary>
    public required IReadOnlyList<string> AvailableAdapters { get; init; }

    /// <summary>Where each adapter lies.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<string>> Devices { get; init; }

    private bool PrintMembers(StringBuilder text) => StatusText.Append(
        text, (nameof(Name), Name), (nameof(ModuleType), ModuleType), (nameof(Enabled), Enabled), (nameof(ActiveAdapters), ActiveAdapters),
        (nameof(MergedAdapters), MergedAdapters), (nameof(RequiresGrad), RequiresGrad), (nameof(AvailableAdapters), AvailableAdapters),
        (nameof(Devices), Devices));
}

/// <summary>The state of a model with adapters: PEFT's <c>TunerModelStatus</c>. Null stands for PEFT's <c>irregular</c>: the layers differ.</summary>
public sealed record AdapterModelStatus
{
    /// <summary>The base model's type.</summary>
    public required string BaseModelType { get; init; }

    /// <summary>PEFT's class: <c>DeloraModel</c>, <c>LoraModel</c>; <c>mixed</c> for both, <c>None</c> without adapters.</summary>
    public required string AdapterModelType { get; init; }

    /// <summary>The method of each adapter.</summary>
    public required IReadOnlyDictionary<string, string> PeftTypes { get; init; }

    /// <summary>How many numbers are trained.</summary>
    public required long TrainableParams { get; init; }

    /// <summary>How many numbers there are.</summary>
    public required long TotalParams { get; init; }

    /// <summary>How many modules have adapters or copies of their own.</summary>
    public required int NumAdapterLayers { get; init; }

    /// <summary>Whether active adapters act.</summary>
    public required bool? Enabled { get; init; }

    /// <summary>Names of the active adapters.</summary>
    public required IReadOnlyList<string>? ActiveAdapters { get; init; }

    /// <summary>Names of the merged adapters.</summary>
    public required IReadOnlyList<string>? MergedAdapters { get; init; }

    /// <summary>Whether each adapter is trained.</summary>
    public required IReadOnlyDictionary<string, bool?> RequiresGrad { get; init; }

    /// <summary>Names of all adapters, sorted.</summary>
    public required IReadOnlyList<string> AvailableAdapters { get; init; }

    /// <summary>Where each adapter lies.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<string>> Devices { get; init; }

    private bool PrintMembers(StringBuilder text) => StatusText.Append(
        text, (nameof(BaseModelType), BaseModelType), (nameof(AdapterModelType), AdapterModelType), (nameof(PeftTypes), PeftTypes),
        (nameof(TrainableParams), TrainableParams), (nameof(TotalParams), TotalParams), (nameof(NumAdapterLayers), NumAdapterLayers),
        (nameof(Enabled), Enabled), (nameof(ActiveAdapters), ActiveAdapters), (nameof(MergedAdapters), MergedAdapters),
        (nameof(RequiresGrad), RequiresGrad), (nameof(AvailableAdapters), AvailableAdapters), (nameof(Devices), Devices));
}

/// <summary>Reports as text: lists with what is in them, and PEFT's word where the layers differ.</summary>
file static class StatusText
{
    internal static bool Append(StringBuilder text, params ReadOnlySpan<(string Name, object? Value)> members)
    {
        string separator = "";
        foreach ((string name, object? value) in members)
        {
            text.Append(separator).Append(name).Append(" = ").Append(Of(value));
            separator = ", ";
        }
        return true;
    }

    private static string Of(object? value) => value switch
    {
        null => "irregular",
        IEnumerable<string> names => $"[{string.Join(", ", names)}]",
        IEnumerable<KeyValuePair<string, string>> pairs => Of(pairs),
        IEnumerable<KeyValuePair<string, bool?>> pairs => Of(pairs),
        IEnumerable<KeyValuePair<string, IReadOnlyList<string>>> pairs => Of(pairs),
        IFormattable number => number.ToString(null, System.Globalization.CultureInfo.InvariantCulture),
        _ => value.ToString()!,
    };

    private static string Of<T>(IEnumerable<KeyValuePair<string, T>> pairs) => $"[{string.Join(", ", pairs.Select(pair => $"{pair.Key}: {Of(pair.Value)}"))}]";
}
