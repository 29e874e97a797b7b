using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Euclidean norm of each column, ‖W_:,j‖₂; see <see cref="ColumnNormKernel"/>.</summary>
    /// <param name="w">[out, in]</param>
    /// <returns>[in]</returns>
    /// <exception cref="ShapeException">w has not two dimensions.</exception>
    public static Tensor ColumnNorm(this Tensor w)
    {
        Check.HasRank(nameof(ColumnNorm), w, 2);
        Tape? tape = Tape.For(w);
        using var norm = new Output([w.Shape[1]], w);
        ColumnNormKernel.Forward(w, norm);
        tape?.Record(new ColumnNormFunction(w, norm), norm);
        return norm.Keep();
    }

    private sealed class ColumnNormFunction(Tensor w, Tensor norm) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dW = Tensor.Empty(w.Shape, w.DType, w.Device, "ColumnNorm.dW");
            ColumnNormKernel.Backward(w, norm, flow.Of(norm), dW);
            flow.Add(w, dW);
        }
    }
}
