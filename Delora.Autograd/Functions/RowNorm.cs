using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Euclidean norm of each row, ‖A_i,:‖₂; see <see cref="RowNormKernel"/>.</summary>
    /// <param name="a">[rows, cols]</param>
    /// <returns>[rows]</returns>
    /// <exception cref="ShapeException">a has not two dimensions.</exception>
    public static Tensor RowNorm(this Tensor a)
    {
        Check.HasRank(nameof(RowNorm), a, 2);
        Tape? tape = Tape.For(a);
        using var norm = new Output([a.Shape[0]], a);
        RowNormKernel.Forward(a, norm);
        tape?.Record(new RowNormFunction(a, norm), norm);
        return norm.Keep();
    }

    private sealed class RowNormFunction(Tensor a, Tensor norm) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dA = Tensor.Empty(a.Shape, a.DType, a.Device, "RowNorm.dA");
            RowNormKernel.Backward(a, norm, flow.Of(norm), dA);
            flow.Add(a, dA);
        }
    }
}
