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
    internal static Tensor Run(Tensor x, bool checkpointing, Func<Tensor, Tensor> layer)
    {
        if (!checkpointing) return layer(x);
        AdapterRows[] rows = AdapterRows.Chosen();
        return x.Checkpoint(again =>
        {
            using IDisposable choice = AdapterRows.Restore(rows);
            return layer(again);
        });
    }
}
