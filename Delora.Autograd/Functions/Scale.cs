using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>A tensor times a number, factor·x; see <see cref="ScaleKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="factor">A constant: no gradient goes there.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="NonFiniteException">The factor is not a finite float32.</exception>
    public static Tensor Scale(this Tensor x, double factor)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x);
        ScaleKernel.Forward(x, factor, y);
        tape?.Record(new ScaleFunction(x, factor, y), y);
        return y.Keep();
    }

    private sealed class ScaleFunction(Tensor x, double factor, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            ScaleKernel.Forward(dy, factor, dy);
            flow.Add(x, dy);
        }
    }
}
