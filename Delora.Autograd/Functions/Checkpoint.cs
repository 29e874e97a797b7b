using Delora.Core;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>
    /// y = layer(x) of which the tape keeps x alone: on the way back the layer is computed again and played backward at once (Chen, Xu, Zhang,
    /// Guestrin, arXiv 1604.06174; <c>torch.utils.checkpoint</c>). A chain of checkpoints needs the memory of what goes into each, and of the
    /// intermediates of one, for one more forward pass. The gradients are those of the layer without a checkpoint, to the bit, but for the order of
    /// sums where x is a parameter or is used outside of the layer as well. Checkpoints nest.
    /// </summary>
    /// <param name="x">Any shape: the one input that gradients flow back to, apart from parameters.</param>
    /// <param name="layer">
    /// Computes a tensor from its argument and nothing that changes before the backward pass: it is called again then. Random numbers, those of dropout,
    /// are the same both times; a layer that asks for others, or for fewer, is refused on the way back. Tensors of this tape other than the argument are refused.
    /// </param>
    /// <returns>What the layer returns.</returns>
    /// <exception cref="GradientException">The layer uses a tensor that was recorded on the tape outside of it.</exception>
    public static Tensor Checkpoint(this Tensor x, Func<Tensor, Tensor> layer)
    {
        if (Tape.Current is not { } tape) return layer(x);
        Tape.For(x);
        var replay = new RandomReplay();
        Tensor y;
        using (Tensor argument = x.View(x.Shape))
        // Recorded, to see whether anything needs a gradient; all of it but the result is freed here.
        using (var inner = new Tape("checkpoint"))
        {
            if (x.GradientState is not null) inner.AddSource(argument);
            using (replay.Record()) y = layer(argument);
            if (y == argument) return x;
            if (inner.Owns(y)) inner.Keep(y);
            // A constant, or a parameter that knows its gradient by itself.
            if (y.GradientState is not Recorded recorded || recorded.Tape != inner) return y;
        }
        tape.Record(new CheckpointFunction(x, layer, replay, y), y);
        return y;
    }

    private sealed class CheckpointFunction(Tensor x, Func<Tensor, Tensor> layer, RandomReplay replay, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            using Tensor argument = x.View(x.Shape);
            using var inner = new Tape("checkpoint");
            // Not a parameter: kernels add to what waits at a result, and the sums must be rounded as they are without a checkpoint.
            if (x.GradientState is not null) inner.AddSource(argument);
            Tensor again;
            using (replay.Replay())
            {
                again = layer(argument);
                replay.CheckComplete();
            }
            if (inner.BackwardTo(argument, again, flow.Of(y)) is { } dx) flow.Add(x, dx);
        }
    }
}
