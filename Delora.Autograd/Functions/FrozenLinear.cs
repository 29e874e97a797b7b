using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>A linear layer over a frozen weight: y = f(x Wᵀ + bias) + residual; see <see cref="FrozenLinearKernel"/>. W gets no gradient.</summary>
    /// <param name="x">[…, in]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <param name="activation">f.</param>
    /// <param name="residual">[…, out]; null for none.</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static Tensor FrozenLinear(
        this Tensor x, FrozenWeight weight, Tensor? bias = null, ActivationKind activation = ActivationKind.None, Tensor? residual = null)
    {
        return EndLinear(x, OutputShape(x, weight.Out), activation, residual, [x, bias], (y, end) =>
        {
            using Tensor rows = AsRows(x);
            FrozenLinearKernel.Forward(rows, weight, bias, y, end);
        }, end => new FrozenLinearFunction(x, weight, bias, end), nameof(FrozenLinear));
    }

    private sealed class FrozenLinearFunction(Tensor x, FrozenWeight weight, Tensor? bias, LinearEnd end) : LinearEndFunction(bias, end)
    {
        protected override void Backward(GradientFlow flow, Tensor dz)
        {
            if (!flow.Needs(x)) return;
            using Tensor dx = AsRows(flow.Target(x, out bool accumulate));
            FrozenLinearKernel.Backward(dz, weight, dx, accumulate);
        }
    }
}
