using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>A linear layer: y = f(x Wᵀ + bias) + residual; see <see cref="MatMulKernel"/>.</summary>
    /// <param name="x">[…, in]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <param name="activation">f.</param>
    /// <param name="residual">[…, out]; null for none.</param>
    /// <param name="isTransposed">Whether the weight is given as Wᵀ [in, out].</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static Tensor Linear(
        this Tensor x, Tensor weight, Tensor? bias = null, ActivationKind activation = ActivationKind.None, Tensor? residual = null,
        bool isTransposed = false)
    {
        Check.HasRank("Linear", weight, 2);
        return EndLinear(x, OutputShape(x, weight.Shape[isTransposed ? 1 : 0]), activation, residual, [x, weight, bias], (y, end) =>
        {
            using Tensor rows = AsRows(x);
            MatMulKernel.Forward(rows, weight, y, isTransposed ? MatMulLayout.NN : MatMulLayout.NT, bias, epilogue: end);
        }, end => new LinearFunction(x, weight, bias, isTransposed, end), nameof(Linear));
    }

    private sealed class LinearFunction(Tensor x, Tensor weight, Tensor? bias, bool isTransposed, LinearEnd end) : LinearEndFunction(bias, end)
    {
        protected override void Backward(GradientFlow flow, Tensor dz)
        {
            using Tensor rows = AsRows(x);
            if (flow.Needs(weight))
            {
                (Tensor left, Tensor right) = isTransposed ? (rows, dz) : (dz, rows);
                MatMulKernel.Forward(left, right, flow.Target(weight, out bool add), MatMulLayout.TN, accumulate: add);
            }
            if (!flow.Needs(x)) return;
            using Tensor dx = AsRows(flow.Target(x, out bool accumulate));
            MatMulKernel.Forward(dz, weight, dx, isTransposed ? MatMulLayout.NT : MatMulLayout.NN, accumulate: accumulate);
        }
    }
}
