using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Sums or means of rows of a table; see <see cref="EmbeddingBagKernel"/>.</summary>
    /// <param name="weight">[vocab, dim].</param>
    /// <param name="ids">int32 [total], bag after bag. Must not change before the backward pass.</param>
    /// <param name="offsets">int32 [bags + 1]: where each bag starts; from 0 to total. Must not change before the backward pass.</param>
    /// <param name="mode">Sum or mean.</param>
    /// <returns>[bags, dim]; 0 for an empty bag.</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">An id is negative or not below vocab, or the offsets are not as described.</exception>
    public static Tensor EmbeddingBag(this Tensor weight, Tensor ids, Tensor offsets, EmbeddingBagMode mode = EmbeddingBagMode.Mean)
    {
        Tape? tape = Tape.For(weight);
        using var y = new Output(EmbeddingBagKernel.OutputShape(offsets, weight), weight);
        EmbeddingBagKernel.Forward(ids, offsets, weight, y, mode);
        tape?.Record(new EmbeddingBagFunction(weight, ids, offsets, y, mode), y);
        return y.Keep();
    }

    private sealed class EmbeddingBagFunction(Tensor weight, Tensor ids, Tensor offsets, Tensor y, EmbeddingBagMode mode) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Of(y);
            EmbeddingBagKernel.Backward(ids, offsets, dy, flow.Target(weight, out bool accumulate), mode, accumulate);
        }
    }
}
