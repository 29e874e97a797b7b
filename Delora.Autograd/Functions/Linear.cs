using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>A linear layer: y = x Wᵀ + bias; see <see cref="MatMulKernel"/>.</summary>
    /// <param name="x">[…, in]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static Tensor Linear(this Tensor x, Tensor weight, Tensor? bias = null)
    {
        Check.HasRank("Linear", weight, 2);
        Tape? tape = Tape.For(x, weight, bias);
        using var y = new Output(OutputShape(x, weight.Shape[0]), x);
        using (Tensor rows = AsRows(x), result = AsRows(y)) MatMulKernel.Forward(rows, weight, result, MatMulLayout.NT, bias);
        tape?.Record(new LinearFunction(x, weight, bias, y), y);
        return y.Keep();
    }

    /// <summary>db = Σ over the rows of dy [N, out], where the bias needs it.</summary>
    private static void AddBiasGradient(GradientFlow flow, Tensor? bias, Tensor dy)
    {
        if (flow.Needs(bias)) AddBiasKernel.Backward(dy, flow.Target(bias, out bool accumulate), accumulate);
    }

    private sealed class LinearFunction(Tensor x, Tensor weight, Tensor? bias, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            using Tensor dy = AsRows(flow.Of(y)), rows = AsRows(x);
            AddBiasGradient(flow, bias, dy);
            if (flow.Needs(weight)) MatMulKernel.Forward(dy, rows, flow.Target(weight, out bool add), MatMulLayout.TN, accumulate: add);
            if (!flow.Needs(x)) return;
            using Tensor dx = AsRows(flow.Target(x, out bool accumulate));
            MatMulKernel.Forward(dy, weight, dx, MatMulLayout.NN, accumulate: accumulate);
        }
    }
}
