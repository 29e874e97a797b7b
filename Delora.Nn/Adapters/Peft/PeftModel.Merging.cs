using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>Merging adapters into the base weights.</summary>
public sealed partial class PeftModel
{
    /// <summary>
    /// Adds ΔW of adapters to the base weights (PEFT's <c>merge_adapter</c>); the base weights are kept for <see cref="Unmerge"/>. What is merged
    /// already is passed over. Merged adapters cannot be trained, exchanged for others or deleted; while any is merged, adapters that are not do
    /// not act. On a failure every layer is as it was. A weight that an output layer shares with the embedding is changed for both, as PEFT changes
    /// it: the merged model then computes something else than the adapted one. It takes the adapters of one of the two.
    /// </summary>
    /// <param name="names">The adapters, in order; the active ones where nothing is given.</param>
    /// <param name="safe">
    /// Whether a weight that would hold NaN or infinity is refused. Where nothing is said it is, but strictly it is not: that is PEFT's default.
    /// </param>
    /// <param name="dequantize">
    /// Keeps merged weights in float32, which alone can be merged into where the base is quantized. Otherwise weights that are kept in 16 bits are rounded
    /// again, as PEFT does.
    /// </param>
    /// <exception cref="ArgumentException">There is no adapter of that name; the strict mode passes it over, as PEFT does.</exception>
    /// <exception cref="QuantizedWeightException">A base weight is quantized; no weight was changed.</exception>
    /// <exception cref="InvalidOperationException">Adapters sit on both an embedding and the output layer that shares its weight.</exception>
    /// <exception cref="NonFiniteException">A merged weight would hold NaN or infinity.</exception>
    public void Merge(IEnumerable<string>? names = null, bool? safe = null, bool dequantize = false) =>
        MergeExcept([], names, safe, dequantize);

    private void MergeExcept(IReadOnlyCollection<IAdaptedLayer> except, IEnumerable<string>? names, bool? safe, bool dequantize)
    {
        using IDisposable? alone = WaitUntilAlone();
        bool isStrict = Compatibility == PeftCompatibility.Strict, isSafe = safe ?? !isStrict;
        string[] wanted = [.. (names ?? _active).Distinct()];
        if (!isStrict)
            foreach (string name in wanted) RequireAdapter(name, nameof(names));
        string[] merged = [.. Merged], added = [.. wanted.Where(_configs.ContainsKey).Except(merged)];
        if (added.Length == 0)
        {
            // PEFT says nothing where it knows none of the names.
            if (wanted.Any(_configs.ContainsKey)) Warn?.Invoke("All adapters are already merged, nothing to do.");
            return;
        }
        if (merged.Length > 0)
            Warn?.Invoke($"Already {string.Join(",", merged)} is merged. You are now additionally merging {string.Join(",", added)}.");
        MergeAll(added, isSafe, dequantize, except);
        if (!isSafe) WarnOfNonFinite();
        if (!isStrict && _active.Except(Merged).Except(added).ToArray() is { Length: > 0 } idle)
            Warn?.Invoke($"{string.Join(", ", idle)} is active and not merged: it does not act before the others are unmerged.");
    }

    /// <summary>Restores the base weights, bit by bit. PEFT subtracts what it added, and leaves the rounding of both.</summary>
    public void Unmerge()
    {
        using IDisposable? alone = WaitUntilAlone();
        if (!Merged.Any())
        {
            Warn?.Invoke("Already unmerged. Nothing to do.");
            return;
        }
        UnmergeAll();
    }

    /// <summary>
    /// Merges adapters for good and removes all (PEFT's <c>merge_and_unload</c>): the base model is a plain model that computes what it did with them. A
    /// module that an active adapter trained as a whole keeps what was trained, and so do biases. Strictly that is the active adapter's also where others are
    /// merged, as in PEFT. A weight that an output layer shares with the embedding is parted where only one of the two has an adapter, or each its own, and
    /// the model is saved as untied; strictly it changes for both, as in PEFT.
    /// </summary>
    /// <inheritdoc cref="Merge"/>
    /// <returns>The base model.</returns>
    public Module MergeAndUnload(IEnumerable<string>? names = null, bool? safe = null, bool dequantize = false)
    {
        using IDisposable? alone = WaitUntilAlone();
        string[] wanted = [.. (names ?? _active).Distinct()];
        List<(IAdaptedLayer Layer, Tensor Own, bool KeepsFloat32)> parted = [];
        try
        {
            if (Compatibility != PeftCompatibility.Strict)
                foreach ((_, IAdaptedLayer layer) in AdaptedLayers.Where(pair => pair.Layer.Adapters.CanBeParted(wanted)))
                    parted.Add((layer, layer.Adapters.CopyMerged(wanted, safe ?? true, dequantize), layer.Adapters.StaysFloat32(dequantize)));
            MergeExcept([.. parted.Select(part => part.Layer)], wanted, safe, dequantize);
            foreach ((IAdaptedLayer layer, Tensor own, bool keepsFloat32) in parted)
            {
                // The layer that shares the weight goes on with what both had.
                layer.Adapters.Unmerge();
                layer.Part(own, keepsFloat32);
            }
        }
        finally
        {
            foreach ((_, Tensor own, _) in parted) own.Dispose();
        }
        KeepTrainedModules(Compatibility == PeftCompatibility.Strict ? _active : wanted);
        foreach ((_, IAdaptedLayer layer) in Layers) layer.Adapters.KeepMerged();
        RemoveAll();
        return Base;
    }

    /// <summary>
    /// Removes all adapters and gives the base model back as it was, but for biases that an adapter trained (PEFT's <c>unload</c>). Strictly a module that
    /// an active adapter trained as a whole keeps what was trained, as in PEFT.
    /// </summary>
    /// <returns>The base model.</returns>
    public Module Unload()
    {
        if (Compatibility == PeftCompatibility.Strict)
        {
            using IDisposable? alone = WaitUntilAlone();
            if (_configs.Count > 0) UnmergeAll();
            KeepTrainedModules(_active);
        }
        Dispose();
        return Base;
    }

    /// <summary>Writes what the last of some adapters trained as a whole into the base model, for good.</summary>
    private void KeepTrainedModules(string[] adapters)
    {
        foreach (SavedModule saved in _savedModules.Values)
            if (adapters.LastOrDefault(saved.Has) is { } adapter) saved.Keep(adapter);
    }

    private void MergeAll(string[] names, bool safe, bool dequantize, IReadOnlyCollection<IAdaptedLayer> except)
    {
        List<(IAdaptedLayer Layer, string[] Before, bool KeepsFloat32)> done = [];
        try
        {
            foreach ((_, IAdaptedLayer layer) in Layers)
            {
                if (except.Contains(layer)) continue;
                string[] before = [.. layer.Adapters.Merged];
                bool keepsFloat32 = layer.Adapters.KeepsFloat32;
                layer.Adapters.Merge(names, safe, dequantize);
                done.Add((layer, before, keepsFloat32));
            }
        }
        catch
        {
            foreach ((IAdaptedLayer layer, string[] before, bool keepsFloat32) in done)
            {
                layer.Adapters.Unmerge();
                // As it was done before; the same sum gives the same bits.
                layer.Adapters.Merge(before, safe: false, keepsFloat32);
            }
            throw;
        }
    }

    private void WarnOfNonFinite()
    {
        if (Warn is null) return;
        foreach ((string name, IAdaptedLayer layer) in Layers)
        {
            if (layer.Adapters.Merged.Count == 0) continue;
            using Tensor weight = layer.CopyOwn("weight");
            if (weight.ToArray<double>().Any(value => !double.IsFinite(value)))
                Warn($"The merged weight of '{name}' holds NaN or infinity.");
        }
    }

    private void UnmergeAll()
    {
        foreach ((_, IAdaptedLayer layer) in Layers) layer.Adapters.Unmerge();
    }

    private void RefuseWhileMerged()
    {
        if (Layers.FirstOrDefault(pair => pair.Layer.Adapters.Merged.Count > 0) is { Layer: not null } merged)
            throw new InvalidOperationException(
                $"{string.Join(", ", merged.Layer.Adapters.Merged)} is merged into '{merged.Name}'; unmerge first.");
    }
}
