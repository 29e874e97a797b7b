using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Sigmoid linear unit, x·σ(x), elementwise; see <see cref="SiluKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Silu(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x);
        SiluKernel.Forward(x, y);
        tape?.Record(new SiluFunction(x, y), y);
        return y.Keep();
    }

    private sealed class SiluFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            SiluKernel.Backward(x, dy, dy);
            flow.Add(x, dy);
        }
    }
}
