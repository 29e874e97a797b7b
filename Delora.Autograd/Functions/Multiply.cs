using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Elementwise product, a∘b; see <see cref="MultiplyKernel"/>.</summary>
    /// <param name="a">Any shape.</param>
    /// <param name="b">The shape of a.</param>
    /// <returns>The shape of a.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static Tensor Multiply(this Tensor a, Tensor b)
    {
        Tape? tape = Tape.For(a, b);
        using var y = new Output(a.Shape, a);
        MultiplyKernel.Forward(a, b, y);
        tape?.Record(new MultiplyFunction(a, b, y), y);
        return y.Keep();
    }

    private sealed class MultiplyFunction(Tensor a, Tensor b, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            if (flow.Needs(a) && flow.Needs(b))
            {
                Tensor da = Tensor.Empty(a.Shape, dy.DType, dy.Device, "da");
                MultiplyKernel.Forward(dy, b, da);
                flow.Add(a, da);
            }
            bool last = flow.Needs(b);
            MultiplyKernel.Forward(dy, last ? a : b, dy);
            flow.Add(last ? b : a, dy);
        }
    }
}
