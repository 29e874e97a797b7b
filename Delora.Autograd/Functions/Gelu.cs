using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Gaussian error linear unit, x·Φ(x), elementwise; see <see cref="GeluKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Gelu(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x);
        GeluKernel.Forward(x, y);
        tape?.Record(new GeluFunction(x, y), y);
        return y.Keep();
    }

    private sealed class GeluFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            GeluKernel.Backward(x, dy, dy);
            flow.Add(x, dy);
        }
    }
}
