using Delora.Core;

namespace Delora.Nn;

/// <summary>Merging adapters into the base weights.</summary>
public sealed partial class PeftModel
{
    /// <summary>
    /// Adds ΔW of the active adapters to the base weights; the base weights are kept for <see cref="Unmerge"/>. Merged adapters cannot be
    /// trained, exchanged for others or deleted. A weight that an output layer shares with the embedding is changed for both, as PEFT changes it:
    /// the merged model then computes something else than the adapted one. It takes the adapters of one of the two.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// Adapters are merged already, or sit on both an embedding and the output layer that shares its weight.
    /// </exception>
    /// <exception cref="NonFiniteException">A merged weight would hold NaN or infinity; no weight was changed.</exception>
    public void Merge()
    {
        using IDisposable? alone = WaitUntilAlone();
        List<IAdaptedLayer> done = [];
        try
        {
            foreach ((_, IAdaptedLayer layer) in AdaptedLayers)
            {
                layer.Adapters.Merge(_active);
                done.Add(layer);
            }
        }
        catch
        {
            foreach (IAdaptedLayer layer in done) layer.Adapters.Unmerge();
            throw;
        }
    }

    /// <summary>Restores the base weights, bit by bit.</summary>
    public void Unmerge()
    {
        using IDisposable? alone = WaitUntilAlone();
        foreach ((_, IAdaptedLayer layer) in AdaptedLayers) layer.Adapters.Unmerge();
    }

    private void RefuseWhileMerged()
    {
        if (AdaptedLayers.FirstOrDefault(pair => pair.Layer.Adapters.Merged.Count > 0) is { Layer: not null } merged)
            throw new InvalidOperationException(
                $"{string.Join(", ", merged.Layer.Adapters.Merged)} is merged into '{merged.Name}'; unmerge first.");
    }
}
