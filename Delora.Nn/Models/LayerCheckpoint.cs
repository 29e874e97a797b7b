using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>One layer of a model under activation checkpointing.</summary>
internal static class LayerCheckpoint
{
    /// <summary>
    /// layer(x). With checkpointing the tape keeps x alone and the layer is computed again on the way back, for the same adapters of the batch's rows
    /// (<see cref="AdapterRows"/>), whatever is chosen by then.
    /// </summary>
    /// <param name="x">What goes into the layer.</param>
    /// <param name="model">The model that the layer belongs to, where it is checkpointed; else null.</param>
    /// <param name="layer">The layer.</param>
    /// <exception cref="GradientException">On the way back: the model's adapters have changed, and the gradients would be another function's.</exception>
    internal static Tensor Run(Tensor x, PretrainedModel? model, Func<Tensor, Tensor> layer)
    {
        if (model is null) return layer(x);
        AdapterRows[] rows = AdapterRows.Chosen();
        long changes = model.Changes;
        return x.Checkpoint(again =>
        {
            if (model.Changes != changes)
                throw new GradientException("A model with checkpointing was changed (adapters, merging) between the forward pass and its backward pass.");
            using IDisposable choice = AdapterRows.Restore(rows);
            return layer(again);
        });
    }
}
