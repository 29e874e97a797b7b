using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Rows of a table by their ids; see <see cref="EmbeddingKernel"/>.</summary>
    /// <param name="weight">[vocab, dim].</param>
    /// <param name="ids">int32 [..]. Must not change before the backward pass.</param>
    /// <returns>[.., dim].</returns>
    /// <exception cref="ShapeException">The weight is no table.</exception>
    /// <exception cref="IndexException">An id is negative, or not below vocab.</exception>
    public static Tensor Embedding(this Tensor weight, Tensor ids)
    {
        Tape? tape = Tape.For(weight);
        using var y = new Output(EmbeddingKernel.OutputShape(ids, weight), weight);
        EmbeddingKernel.Forward(ids, weight, y);
        tape?.Record(new EmbeddingFunction(weight, ids, y), y);
        return y.Keep();
    }

    private sealed class EmbeddingFunction(Tensor weight, Tensor ids, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Of(y);
            EmbeddingKernel.Backward(ids, dy, flow.Target(weight, out bool accumulate), accumulate);
        }
    }
}
