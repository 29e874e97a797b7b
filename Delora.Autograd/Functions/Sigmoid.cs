using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Logistic function, 1/(1 + e^−x), elementwise; see <see cref="SigmoidKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Sigmoid(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x);
        SigmoidKernel.Forward(x, y);
        tape?.Record(new SigmoidFunction(x, y), y);
        return y.Keep();
    }

    private sealed class SigmoidFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            SigmoidKernel.Backward(y, dy, dy);
            flow.Add(x, dy);
        }
    }
}
