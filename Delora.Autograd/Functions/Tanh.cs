using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Hyperbolic tangent, elementwise; see <see cref="TanhKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Tanh(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x);
        TanhKernel.Forward(x, y);
        tape?.Record(new TanhFunction(x, y), y);
        return y.Keep();
    }

    private sealed class TanhFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            TanhKernel.Backward(y, dy, dy);
            flow.Add(x, dy);
        }
    }
}
