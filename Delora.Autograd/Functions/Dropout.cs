using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Zeroes elements with probability p and multiplies the others by 1/(1−p); see <see cref="DropoutKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="probability">p in [0, 1).</param>
    /// <param name="stream">Where the random numbers come from: <see cref="Generator.Reserve"/> of as many as x has elements.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ArgumentOutOfRangeException">p is not in [0, 1).</exception>
    public static Tensor Dropout(this Tensor x, float probability, RandomStream stream)
    {
        DropoutMask mask = new DropoutMask(probability, stream).Validated();
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x);
        DropoutKernel.Forward(x, mask, y);
        tape?.Record(new DropoutFunction(x, mask, y), y);
        return y.Keep();
    }

    private sealed class DropoutFunction(Tensor x, DropoutMask mask, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            DropoutKernel.Backward(dy, mask, dy);
            flow.Add(x, dy);
        }
    }
}
