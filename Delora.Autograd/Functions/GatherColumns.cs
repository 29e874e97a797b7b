using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Columns of a matrix by their ids, each as a row; see <see cref="GatherColumnsKernel"/>.</summary>
    /// <param name="a">[rows, columns].</param>
    /// <param name="ids">int32 [..]. Must not change before the backward pass.</param>
    /// <returns>[.., rows].</returns>
    /// <exception cref="ShapeException">a is no matrix.</exception>
    /// <exception cref="IndexException">An id is negative, or not below columns.</exception>
    public static Tensor GatherColumns(this Tensor a, Tensor ids)
    {
        Tape? tape = Tape.For(a);
        using var y = new Output(GatherColumnsKernel.OutputShape(a, ids), a);
        GatherColumnsKernel.Forward(a, ids, y);
        tape?.Record(new GatherColumnsFunction(a, ids, y), y);
        return y.Keep();
    }

    private sealed class GatherColumnsFunction(Tensor a, Tensor ids, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Of(y);
            GatherColumnsKernel.Backward(ids, dy, flow.Target(a, out bool accumulate), accumulate);
        }
    }
}
