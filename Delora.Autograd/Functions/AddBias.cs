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

    private sealed class AddBiasFunction(Tensor x, Tensor bias, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            if (flow.Needs(bias))
            {
                Tensor dBias = flow.Target(bias, out bool accumulate);
                AddBiasKernel.Backward(flow.Of(y), dBias, accumulate);
            }
            if (flow.Needs(x)) flow.Add(x, flow.Take(y));
        }
    }
}
