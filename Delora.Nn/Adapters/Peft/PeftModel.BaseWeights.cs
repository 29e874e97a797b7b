using Delora.Core;

namespace Delora.Nn;

/// <summary>The base weights that PEFT puts into adapter files: those of adapted output layers and token embeddings.</summary>
public sealed partial class PeftModel
{
    /// <summary>Where one of these is a target, PEFT saves base weights along with the adapter (its <c>EMBEDDING_LAYER_NAMES</c>).</summary>
    private static readonly string[] s_embeddingNames = ["embed_tokens", "lm_head"];

    /// <summary>
    /// The base weights that belong into an adapter's file, with PEFT's keys: those of the output layer and of the token embedding, the first of a
    /// model, where they are adapted and the configuration names one of them as most families call them (PEFT: <c>get_peft_model_state_dict</c>
    /// with <c>save_embedding_layers="auto"</c>).
    /// </summary>
    /// <param name="config">The adapter's configuration.</param>
    /// <param name="adapted">The layers that it adapts.</param>
    private IEnumerable<(string Key, IAdaptedLayer Layer)> SavedBaseWeights(AdapterConfig config, IEnumerable<(string Name, IAdaptedLayer Layer)> adapted)
    {
        if (config.TargetModules is not { } targets || (Base as IAdaptable)?.Targets.OutputModule is not { } output) yield break;
        bool isNamed = s_embeddingNames.Any(name => targets.Pattern?.Contains(name, StringComparison.Ordinal) ?? targets.Names.Contains(name));
        if (!isNamed) yield break;
        string? input = Base.NamedModules().FirstOrDefault(pair => pair.Module is Embedding).Name;
        foreach ((string name, IAdaptedLayer layer) in adapted)
            if (name == output || name == input) yield return ($"{KeyPrefix}{name}.base_layer.weight", layer);
    }

    /// <summary>
    /// Takes base weights from an adapter's file, as PEFT does. Usually they are the model's own; where they are not, the adapter was trained on
    /// others, and the model computes with those from now on. All are read and compared before the first is overwritten.
    /// </summary>
    /// <exception cref="InvalidOperationException">Adapters are merged into a weight that would be overwritten.</exception>
    private static void TakeBaseWeights(AdapterTensors tensors, IEnumerable<(string Key, IAdaptedLayer Layer)> weights, Action<string>? warn)
    {
        (string Key, IAdaptedLayer Layer, Tensor Value)[] read = [.. weights
            .Select(entry => (entry.Key, entry.Layer, tensors.Read(entry.Key, entry.Layer.Device)))];
        List<(string Key, IAdaptedLayer Layer, Tensor Value)> others = [];
        foreach ((string key, IAdaptedLayer layer, Tensor value) in read)
        {
            using Tensor own = layer.Adapters.CopyBase();
            if (own.ToArray<float>().AsSpan().SequenceEqual(value.ToArray<float>())) continue;
            if (layer.Adapters.Merged.Count > 0 || layer.Partner is { Adapters.Merged.Count: > 0 })
                throw new InvalidOperationException($"{tensors.Source}: {key} is not the model's own weight, and adapters are merged into it; unmerge first.");
            others.Add((key, layer, value));
        }
        foreach ((string key, IAdaptedLayer layer, Tensor value) in others)
        {
            warn?.Invoke($"{tensors.Source}: {key} is not the model's own weight: the model computes with it from now on, as PEFT would.");
            layer.WeightState.Write(value);
        }
    }
}
