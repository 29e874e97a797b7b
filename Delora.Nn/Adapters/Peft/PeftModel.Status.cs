using System.Globalization;
using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Counts and reports.</summary>
public sealed partial class PeftModel
{
    /// <summary>
    /// How many numbers are trained, and how many there are: base model, adapters and copies of <c>modules_to_save</c>, without w, which is no
    /// parameter (PEFT's <c>get_nb_trainable_parameters</c>).
    /// </summary>
    public (long Trainable, long All) CountParameters() => Read(() => (
        Trainable().Sum(entry => entry.Parameter.Shape.ElementCount),
        BaseParameters() + AllAdapterParameters().Sum(entry => entry.Parameter.Shape.ElementCount)));

    /// <summary>Tied embeddings count once, also while copies stand in the place of one.</summary>
    private long BaseParameters() => Base.NamedModules().Sum(pair => pair.Module.OwnState()
        .Where(entry => entry.Name != "weight" || pair.Module is not Linear { IsTied: true }).Sum(entry => entry.State.Shape.ElementCount));

    /// <summary>The counts in PEFT's words: <c>trainable params: 241 || all params: 503 || trainable%: 47.9125</c>.</summary>
    public string DescribeTrainableParameters()
    {
        (long trainable, long all) = CountParameters();
        return string.Create(CultureInfo.InvariantCulture,
            $"trainable params: {trainable:N0} || all params: {all:N0} || trainable%: {(all == 0 ? 0 : 100.0 * trainable / all):F4}");
    }

    /// <summary>The state of every module with adapters or copies of its own, in the model's order (PEFT's <c>get_layer_status</c>).</summary>
    public IReadOnlyList<AdapterLayerStatus> GetLayerStatus() => Read<IReadOnlyList<AdapterLayerStatus>>(() =>
    [
        .. Base.NamedModules().SelectMany(pair => pair.Module is IAdaptedLayer layer && layer.Adapters.Names.Any()
            ? [StatusOf(pair.Name, layer)]
            : _savedModules.TryGetValue(pair.Name, out SavedModule? saved) ? (AdapterLayerStatus[])[StatusOf(pair.Name, saved)] : []),
    ]);

    /// <summary>The state of the whole model (PEFT's <c>get_model_status</c>).</summary>
    public AdapterModelStatus GetModelStatus() => Read(ModelStatus);

    private AdapterModelStatus ModelStatus()
    {
        IReadOnlyList<AdapterLayerStatus> layers = GetLayerStatus();
        (long trainable, long all) = CountParameters();
        return new AdapterModelStatus
        {
            BaseModelType = Base.GetType().Name,
            AdapterModelType = _configs.Values.Select(config => config.PeftType).Distinct().ToArray() switch
            {
                [] => "None",
                [DeloraConfig.Method] => "DeloraModel",
                [LoraConfig.Method] => "LoraModel",
                _ => "mixed",
            },
            PeftTypes = _configs.ToDictionary(pair => pair.Key, pair => pair.Value.PeftType),
            TrainableParams = trainable,
            TotalParams = all,
            NumAdapterLayers = layers.Count,
            Enabled = Agreed(layers.Select(layer => layer.Enabled)),
            ActiveAdapters = layers.Count == 0 ? [] : AgreedNames(layers.Select(layer => layer.ActiveAdapters)),
            MergedAdapters = AgreedNames(layers.Where(layer => layer.ModuleType != SavedModuleType).Select(layer => layer.MergedAdapters)),
            RequiresGrad = _configs.Keys.ToDictionary(name => name, name => Agreed(layers
                .Where(layer => layer.RequiresGrad.ContainsKey(name)).Select(layer => layer.RequiresGrad[name]))),
            AvailableAdapters = [.. layers.SelectMany(layer => layer.AvailableAdapters).Distinct().Order(StringComparer.Ordinal)],
            Devices = _configs.Keys.ToDictionary(name => name, name => (IReadOnlyList<string>)[.. layers
                .SelectMany(layer => layer.Devices.GetValueOrDefault(name) ?? []).Distinct().Order(StringComparer.Ordinal)]),
        };
    }

    private const string SavedModuleType = "ModulesToSaveWrapper";

    private AdapterLayerStatus StatusOf(string name, IAdaptedLayer layer)
    {
        LinearAdapters adapters = layer.Adapters;
        return new AdapterLayerStatus
        {
            Name = $"model.{name}",
            ModuleType = adapters.Names.Select(adapter => _configs.GetValueOrDefault(adapter)?.PeftType).Distinct().ToArray() switch
            {
                [LoraConfig.Method] => layer.Kind == ModuleKind.Embedding ? "lora.Embedding" : "lora.Linear",
                _ => layer.Kind == ModuleKind.Embedding ? "delora.DeloraEmbedding" : "delora.DeloraLinear",
            },
            Enabled = adapters.Enabled,
            ActiveAdapters = adapters.Active,
            MergedAdapters = adapters.Merged,
            RequiresGrad = adapters.Names.ToDictionary(adapter => adapter,
                adapter => Agreed(adapters[adapter].Parameters.Select(entry => (bool?)entry.Parameter.RequiresGradient))),
            AvailableAdapters = [.. adapters.Names.Order(StringComparer.Ordinal)],
            Devices = adapters.Names.ToDictionary(adapter => adapter, IReadOnlyList<string> (_) => [layer.Device.Name]),
        };
    }

    private AdapterLayerStatus StatusOf(string name, SavedModule saved) => new()
    {
        Name = $"model.{name}",
        ModuleType = SavedModuleType,
        Enabled = _disabled == 0,
        ActiveAdapters = _active.LastOrDefault(saved.Has) is { } active ? [active] : [],
        MergedAdapters = [],
        RequiresGrad = saved.Adapters.ToDictionary(adapter => adapter,
            adapter => Agreed(saved.Copies(adapter).Select(entry => (bool?)entry.Parameter.RequiresGradient))),
        AvailableAdapters = [.. saved.Adapters.Order(StringComparer.Ordinal)],
        Devices = saved.Adapters.ToDictionary(adapter => adapter, IReadOnlyList<string> (adapter) =>
            [.. saved.Copies(adapter).Select(entry => entry.Parameter.Value.Device.Name).Distinct()]),
    };

    /// <summary>The value that all have; null, PEFT's <c>irregular</c>, where they differ or there is none.</summary>
    private static bool? Agreed(IEnumerable<bool?> values) => values.Distinct().ToArray() is [var one] ? one : null;

    private static IReadOnlyList<string>? AgreedNames(IEnumerable<IReadOnlyList<string>> lists)
    {
        IReadOnlyList<string>[] all = [.. lists];
        return all.Length == 0 ? [] : all.All(list => list.SequenceEqual(all[0])) ? all[0] : null;
    }
}
