using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>A bias over the last dimension, x + b; see <see cref="AddBiasKernel"/>.</summary>
    /// <param name="x">[…, dim].</param>
    /// <param name="bias">[dim].</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static Tensor AddBias(this Tensor x, Tensor bias)
    {
        Tape? tape = Tape.For(x, bias);
        using var y = new Output(x.Shape, x);
        AddBiasKernel.Forward(x, bias, y);
        tape?.Record(new AddBiasFunction(x, bias, y), y);
        return y.Keep();
    }

    /// <summary>db = Σ over the rows of dy [N, out], where the bias needs it.</summary>
    private static void AddBiasGradient(GradientFlow flow, Tensor? bias, Tensor dy)
    {
        if (flow.Needs(bias)) AddBiasKernel.Backward(dy, flow.Target(bias, out bool accumulate), accumulate);
    }

    private sealed class AddBiasFunction(Tensor x, Tensor bias, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            AddBiasGradient(flow, bias, flow.Of(y));
            if (flow.Needs(x)) flow.Add(x, flow.Take(y));
        }
    }
}
