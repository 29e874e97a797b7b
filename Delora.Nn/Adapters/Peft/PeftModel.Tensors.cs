using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Adapters made of tensors that there are already.</summary>
public sealed partial class PeftModel
{
    /// <summary>Attaches a planned adapter with the tensors of a source, and activates it.</summary>
    private AdapterLoadResult AttachFrom(
        AdapterTensors tensors, AdapterPlan plan, Generator generator, bool ignoreMismatchedSizes, Action<string>? warn)
    {
        HashSet<string> adapted = [.. plan.Layers.Select(entry => entry.Target.Name)];
        string[] saved = [.. _savedModules.Keys, .. plan.Saved.Select(entry => entry.Name)];
        (string Key, Parameter Bias)[] biases = [.. SavedBiases(plan.Config.Bias, adapted, saved)];
        (string Key, IAdaptedLayer Layer)[] weights = [.. SavedBaseWeights(plan.Config, plan.Layers.Select(entry => (entry.Target.Name, entry.Layer)))];
        Fit fit = Compare(tensors, Needed(plan),
            [.. biases.Select(entry => (entry.Key, entry.Bias.Shape)), .. weights.Select(entry => (entry.Key, entry.Layer.WeightState.Shape))]);
        AdapterLoadResult result = Judge(fit, tensors, plan.Name, ignoreMismatchedSizes, warn);

        Attach(plan, (layerName, layer, target) =>
        {
            string[] keys = [.. TensorsOf(plan.Config, layer, target).Select(entry => $"{KeyPrefix}{layerName}.{entry.Key}")];
            if (!keys.All(fit.Usable.Contains)) return Patched(NewAdapter(plan.Config, layer, target, generator), layerName);
            Tensor[] read = [.. keys.Select(key => tensors.Read(key, layer.Device))];
            bool onEmbedding = layer.Kind == ModuleKind.Embedding;
            return plan.Config is LoraConfig lora
                ? new LoraAdapter(read[0], read[1], LoraAdapter.ScalingOf(lora, target), (float)lora.EffectiveDropout, generator, onEmbedding)
                : new DeloraAdapter(read[0], read[1], read[2], read[3], (float)plan.Config.EffectiveDropout, generator,
                    onEmbedding: onEmbedding);
        });
        try
        {
            using var scope = new TensorScope("load adapter");
            foreach ((string module, _) in plan.Saved)
                foreach ((string own, Parameter parameter) in _savedModules[module].Copies(plan.Name))
                    if (fit.Usable.Contains($"{KeyPrefix}{module}.{own}"))
                        parameter.Value.CopyFrom(tensors.Read($"{KeyPrefix}{module}.{own}", parameter.Value.Device));
            // All are read before the first of the base model's own is overwritten.
            (Parameter Bias, Tensor Value)[] values = [.. biases.Where(entry => fit.Usable.Contains(entry.Key))
                .Select(entry => (entry.Bias, tensors.Read(entry.Key, entry.Bias.Value.Device)))];
            TakeBaseWeights(tensors, weights.Where(entry => fit.Usable.Contains(entry.Key)), warn);
            foreach ((Parameter bias, Tensor value) in values) bias.Value.CopyFrom(value);
            WarnOfOtherBase(plan, tensors.Source, warn);
        }
        catch
        {
            Remove(plan.Name);
            throw;
        }
        ActivateNew(plan, warn);
        return result;

        // A new adapter that takes what there is.
        LinearAdapter Patched(LinearAdapter adapter, string layerName)
        {
            foreach ((string key, Tensor value) in StateOf(adapter))
                if (fit.Usable.Contains($"{KeyPrefix}{layerName}.{key}"))
                {
                    using Tensor read = tensors.Read($"{KeyPrefix}{layerName}.{key}", value.Device);
                    value.CopyFrom(read);
                }
            return adapter;
        }
    }

    /// <summary>Writes tensors over those of an adapter that there is; its configuration stays. All are read before the first is written.</summary>
    private AdapterLoadResult Overwrite(string name, AdapterTensors tensors, bool ignoreMismatchedSizes, Action<string>? warn)
    {
        Dictionary<string, Tensor> present = [];
        foreach ((string layerName, IAdaptedLayer layer) in Layers)
            if (layer.Adapters.Contains(name))
            {
                if (layer.Adapters[name] is DeloraAdapter { IsResidual: true })
                    throw new ArgumentException($"The adapter '{name}' has the residual initialization; a file holds it in another form.", nameof(name));
                foreach ((string key, Tensor value) in StateOf(layer.Adapters[name])) present.Add($"{KeyPrefix}{layerName}.{key}", value);
            }
        foreach (SavedModule saved in _savedModules.Values.Where(saved => saved.Has(name)))
            foreach ((string own, Parameter parameter) in saved.Copies(name)) present.Add($"{KeyPrefix}{saved.Name}.{own}", parameter.Value);
        HashSet<string> adapted = [.. Layers.Where(pair => pair.Layer.Adapters.Contains(name)).Select(pair => pair.Name)];
        (string Key, Parameter Bias)[] biases = [.. SavedBiases(_configs[name].Bias, adapted, _savedModules.Keys)];
        Fit fit = Compare(tensors, present.ToDictionary(pair => pair.Key, pair => pair.Value.Shape),
            [.. biases.Select(entry => (entry.Key, entry.Bias.Shape))]);
        AdapterLoadResult result = Judge(fit, tensors, name, ignoreMismatchedSizes, warn);
        using var scope = new TensorScope("overwrite adapter");
        IEnumerable<(string Key, Tensor Value)> all = present.Select(pair => (pair.Key, pair.Value)).Concat(biases.Select(bias => (bias.Key, bias.Bias.Value)));
        (Tensor To, Tensor From)[] values = [.. all.Where(pair => fit.Usable.Contains(pair.Key))
            .Select(pair => (pair.Value, tensors.Read(pair.Key, pair.Value.Device)))];
        foreach ((Tensor to, Tensor from) in values) to.CopyFrom(from);
        return result;
    }

    /// <summary>What an adapter keeps, by PEFT's names; its own tensors.</summary>
    private static IEnumerable<(string Key, Tensor Value)> StateOf(LinearAdapter adapter)
    {
        foreach ((string key, Parameter parameter) in adapter.Parameters) yield return (key, parameter.Value);
        if (adapter is DeloraAdapter delora) yield return ("delora_w_norm", delora.ColumnNorms);
    }

    /// <summary>The tensors of one layer's adapter, in the order of its constructor.</summary>
    private static (string Key, Shape Shape)[] TensorsOf(AdapterConfig config, IAdaptedLayer layer, AdapterTarget target)
    {
        bool onEmbedding = layer.Kind == ModuleKind.Embedding;
        Shape a = [target.Rank, layer.In], b = [layer.Out, target.Rank];
        return config switch
        {
            DeloraConfig => [.. DeloraAdapter.Keys(onEmbedding).Zip((Shape[])[a, b, [1], [layer.In]])],
            LoraConfig => [.. LoraAdapter.Keys(onEmbedding).Zip((Shape[])[a, b])],
            _ => throw config.Wrong("peft_type", $"{config.PeftType} adapters are not supported; DELORA and LORA are."),
        };
    }

    /// <summary>The keys and shapes that a plan needs.</summary>
    private static Dictionary<string, Shape> Needed(AdapterPlan plan)
    {
        Dictionary<string, Shape> needed = [];
        foreach ((IAdaptedLayer layer, AdapterTarget target) in plan.Layers)
            foreach ((string key, Shape shape) in TensorsOf(plan.Config, layer, target))
                needed.Add($"{KeyPrefix}{target.Name}.{key}", shape);
        foreach ((string name, Module module) in plan.Saved)
            foreach ((string own, Shape shape) in SavedModule.ShapesOf(module)) needed.Add($"{KeyPrefix}{name}.{own}", shape);
        return needed;
    }

    /// <summary>Compares what there is with what is needed, before memory is spent on either.</summary>
    /// <param name="tensors">What there is.</param>
    /// <param name="needed">Keys and shapes that must be there.</param>
    /// <param name="optional">
    /// Those that may be there: PEFT leaves some biases out, and base weights where it is told to.
    /// </param>
    private static Fit Compare(AdapterTensors tensors, Dictionary<string, Shape> needed, (string Key, Shape Shape)[] optional)
    {
        string[] missing = [.. needed.Keys.Where(key => !tensors.Contains(key))];
        Dictionary<string, Shape> known = new(needed);
        foreach ((string key, Shape shape) in optional) known.Add(key, shape);
        return new Fit(
            missing,
            [.. tensors.Keys.Where(key => !known.ContainsKey(key))],
            [.. known.Where(pair => tensors.Contains(pair.Key) && tensors.ShapeOf(pair.Key) != pair.Value)],
            [.. known.Where(pair => tensors.Contains(pair.Key) && tensors.ShapeOf(pair.Key) == pair.Value).Select(pair => pair.Key)]);
    }

    /// <summary>Refuses what does not fit, or lets it pass with a warning.</summary>
    private AdapterLoadResult Judge(Fit fit, AdapterTensors tensors, string adapter, bool ignoreMismatchedSizes, Action<string>? warn)
    {
        bool isStrict = Compatibility == PeftCompatibility.Strict;
        string[] wrong = [.. fit.Mismatched.Select(pair => $"{pair.Key} has the shape {tensors.ShapeOf(pair.Key)} instead of {pair.Value}")];
        if (wrong.Length > 0 && !ignoreMismatchedSizes || !isStrict && fit.Missing.Length + fit.Unexpected.Length > 0)
            throw new DeloraFormatException(
                tensors.Source, null, $"does not fit the model and the configuration: {Names.Differences(fit.Missing, fit.Unexpected, wrong)}.");
        string[] mismatched = [.. fit.Mismatched.Select(pair => InMemoryName(pair.Key, adapter))];
        string[] missing = [.. fit.Missing.Select(key => InMemoryName(key, adapter))];
        if (wrong.Length > 0) warn?.Invoke($"{tensors.Source}: tensors of another shape are passed over: {string.Join("; ", wrong)}.");
        if (missing.Length + wrong.Length > 0)
            warn?.Invoke($"{tensors.Source}: found missing adapter keys while loading the checkpoint: {string.Join(", ", missing.Concat(mismatched))}.");
        return new AdapterLoadResult([.. missing, .. mismatched], fit.Unexpected, mismatched);
    }

    /// <summary>The name in memory of a key in a file.</summary>
    private string InMemoryName(string key, string adapter)
    {
        foreach (string marker in (string[])[".delora_", ".lora_"])
            if (key.LastIndexOf(marker, StringComparison.Ordinal) is var at and > 0) return $"{key[..(at + 1)]}{InMemoryKey(key[(at + 1)..], adapter)}";
        string name = key[KeyPrefix.Length..];
        string? saved = _savedModules.Keys.FirstOrDefault(module => name.StartsWith($"{module}.", StringComparison.Ordinal));
        int end = saved?.Length ?? name.LastIndexOf('.');
        return $"{KeyPrefix}{name[..end]}.modules_to_save.{adapter}{name[end..]}";
    }

    /// <summary>What there is, compared with what is needed.</summary>
    /// <param name="Missing">Keys that are needed and not there.</param>
    /// <param name="Unexpected">Keys that are there and not needed.</param>
    /// <param name="Mismatched">Keys of another shape, with the shape that is needed.</param>
    /// <param name="Usable">Keys that fit.</param>
    private sealed record Fit(string[] Missing, string[] Unexpected, KeyValuePair<string, Shape>[] Mismatched, HashSet<string> Usable);
}
