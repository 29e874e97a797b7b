using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Softmax over the last dimension; see <see cref="SoftmaxKernel"/> (also for masked rows).</summary>
    /// <param name="x">[.., columns].</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Softmax(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x);
        SoftmaxKernel.Forward(x, y);
        tape?.Record(new SoftmaxFunction(x, y), y);
        return y.Keep();
    }

    private sealed class SoftmaxFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            SoftmaxKernel.Backward(y, dy, dy);
            flow.Add(x, dy);
        }
    }
}
