using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Gaussian error linear unit in its tanh form, elementwise; see <see cref="GeluTanhKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor GeluTanh(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x);
        GeluTanhKernel.Forward(x, y);
        tape?.Record(new GeluTanhFunction(x, y), y);
        return y.Keep();
    }

    private sealed class GeluTanhFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            GeluTanhKernel.Backward(x, dy, dy);
            flow.Add(x, dy);
        }
    }
}
