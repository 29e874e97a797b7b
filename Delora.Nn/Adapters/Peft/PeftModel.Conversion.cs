using Delora.Core;

namespace Delora.Nn;

/// <summary>Adapters as LoRA, sums of adapters, and how far they move the model.</summary>
public sealed partial class PeftModel
{
    /// <summary>
    /// Writes an adapter as a LoRA folder, which computes the same function: ΔW = B diag(s) (A ∘ w) is the product of lora_B = B∘s and
    /// lora_A = A∘w, with α = r so that the scaling is 1. It is exact: with the base model of the adapter, on the same device, this library
    /// computes the same bits. Biases and modules that the adapter trained go along.
    /// </summary>
    /// <remarks>
    /// PEFT's <c>save_as_lora</c> decomposes [out, in] matrices, and refuses adapters with biases. Where ranks differ the configuration has
    /// the most frequent one as <c>r</c> and the others as <c>rank_pattern</c> and <c>alpha_pattern</c>; PEFT writes r = 1 and every layer
    /// as a pattern, which means the same.
    /// </remarks>
    /// <param name="folder">Made where it does not exist.</param>
    /// <param name="name">The adapter, of any kind.</param>
    /// <param name="rank">A smaller rank for every layer, or the share of its energy to keep; exact where nothing is given.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name; strictly also where it trains biases, as in PEFT.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The rank is larger than a side of a layer's weight.</exception>
    /// <exception cref="NonFiniteException">The adapter holds NaN or infinity.</exception>
    /// <exception cref="DeloraException">The system refused to write.</exception>
    public void SaveAsLora(string folder, string name = DefaultAdapter, RankChoice rank = default)
    {
        using IDisposable? alone = WaitUntilAlone();
        if (Compatibility == PeftCompatibility.Strict && _configs.GetValueOrDefault(name)?.Bias is not (null or AdapterBias.None))
            throw new ArgumentException($"The adapter '{name}' trains biases, which PEFT does not convert.", nameof(name));
        LoraConversion lora = LoraConversion.Of([TermOf(name, 1)], rank);
        using var scope = new TensorScope("save LoRA");
        AdapterFolder.Write(folder, lora.Config, [.. AdapterFolder.LoraTensors(lora, Kernels.Devices.Cpu), .. SavedBeside(name)]);
    }

    /// <summary>
    /// Adds a LoRA adapter whose update is Σ weight · ΔW, in each layer over those of the adapters that the layer has, and does not activate it
    /// (PEFT's <c>add_weighted_adapter</c>). DeLoRA and LoRA may be mixed, weights negative. The sum is a copy: what it was made of stays.
    /// </summary>
    /// <remarks>
    /// Of PEFT's combination types the exact form, with the sum of the ranks, is <c>cat</c>, and with a rank or a share of the energy it
    /// is <c>svd</c>, whose result is the nearest of that rank. <c>linear</c> is not offered: it adds A and B apart, so that products of one
    /// adapter's A and another's B come in, and for DeLoRA, whose length does not depend on A and B, it means nothing. The forms that drop
    /// or elect single weights (ties, dare, magnitude_prune) are not offered either.
    /// </remarks>
    /// <param name="adapters">Names and weights of adapters that the model has.</param>
    /// <param name="name">The new adapter's name.</param>
    /// <param name="rank">Exact where nothing is given; else what the sum is compressed to.</param>
    /// <exception cref="ArgumentException">There is no adapter of a name, there is one of the new name, or a weight is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The rank is larger than a side of a layer's weight.</exception>
    /// <exception cref="NotSupportedException">
    /// An adapter has trained biases or whole modules, which cannot be added; or the model is strict: PEFT has no such sums of DeLoRA adapters.
    /// </exception>
    /// <exception cref="NonFiniteException">A factor would be NaN or infinite.</exception>
    public void AddWeightedAdapter(IReadOnlyList<(string Name, double Weight)> adapters, string name, RankChoice rank = default)
    {
        using IDisposable? alone = WaitUntilAlone();
        if (Compatibility == PeftCompatibility.Strict) throw new NotSupportedException("PEFT has no weighted sums of DeLoRA adapters.");
        ArgumentNullException.ThrowIfNull(adapters);
        if (adapters.Count == 0) throw new ArgumentException("No adapter was named.", nameof(adapters));
        foreach ((string adapter, double weight) in adapters)
        {
            RequireAdapter(adapter, nameof(adapters));
            if (!double.IsFinite(weight)) throw new ArgumentException($"The weight of '{adapter}' must be finite, not {weight}.", nameof(adapters));
        }
        LoraConversion lora = LoraConversion.Of([.. adapters.Select(entry => TermOf(entry.Name, entry.Weight))], rank);
        // Even a single adapter's own targets are named by layers: the layers of this model are known.
        LoraConfig config = LoraConversion.OfLayers(lora.Config, lora.Layers.Keys) with { Source = name, TargetModules = Exactly([.. lora.Layers.Keys]) };
        if (adapters is [(var only, 1)] && TermOf(only, 1).HasMore)
            throw new NotSupportedException($"'{only}' has trained biases or whole modules; a copy of it would be without them.");
        AdapterPlan plan = Plan(name, config, warn: null);
        Attach(plan, (layerName, layer, _) => lora.Layers[layerName].ToAdapter(layer.Device));
        if (plan.Config.InferenceMode) _untrained.Add(name);
        ApplyTraining();
    }

    /// <summary>‖ΔW‖ of each layer and active adapter beside its bounds; at any time, during training as well.</summary>
    public BoundReport BoundReport() => Read(() => new BoundReport(
        [.. from pair in Layers
            from name in pair.Layer.Adapters.Active
            select LayerBound.Of(pair.Name, name, pair.Layer.Adapters[name])]));

    private LoraConversion.Term TermOf(string name, double weight)
    {
        RequireAdapter(name, nameof(name));
        AdapterConfig config = _configs[name];
        return new LoraConversion.Term(name, weight, config,
            [.. Layers.Where(pair => pair.Layer.Adapters.Contains(name)).Select(pair => KeyValuePair.Create(pair.Name, pair.Layer.Adapters[name]))],
            HasMore: config.Bias != AdapterBias.None || _savedModules.Values.Any(saved => saved.Has(name)));
    }
}
