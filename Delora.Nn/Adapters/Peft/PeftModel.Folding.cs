using Delora.Autograd;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>Folding ahead of a pass.</summary>
public sealed partial class PeftModel
{
    /// <summary>
    /// Folds the active DeLoRA adapters of all layers at once, for the forward pass that follows under the current tape: a few launches on a GPU instead
    /// of a few for each layer, forward and backward. The bits are those of layers that fold by themselves, and so they do where nothing is gained:
    /// without a tape, on the CPU, and in checkpointed layers.
    /// <code>
    /// using var tape = new Tape();
    /// Tensor loss;
    /// using (model.FoldAhead()) loss = network.Forward(x).CrossEntropy(labels);
    /// tape.Backward(loss);
    /// </code>
    /// <see cref="FineTuner{TModel, TBatch, TEvaluation}"/> does so by itself. The parameters must not change before the result is disposed.
    /// </summary>
    /// <returns>Ends it; in this flow of execution (across <c>await</c>, and in tasks started meanwhile) it holds until then.</returns>
    public IDisposable FoldAhead()
    {
        if (Tape.Current is not { } tape || (Base as PretrainedModel)?.Checkpointing == true) return new Restore(() => { });
        DeloraAdapter[] adapters = Read<DeloraAdapter[]>(() =>
        [
            .. Layers.SelectMany(pair => pair.Layer.Adapters.ActingNow()).OfType<DeloraAdapter>()
                .Where(adapter => adapter.ColumnNorms.Device is GpuDevice),
        ]);
        return adapters.Length == 0 ? new Restore(() => { }) : new FoldedAdapters(tape, adapters);
    }
}
