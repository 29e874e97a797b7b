using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>
    /// The same numbers in another storage type; see <see cref="CastKernel"/>. The gradient passes unchanged (the rounding counts as the
    /// identity), in the device's floating-point type.
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="dtype">bfloat16, float16 or the device's floating-point type.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="DTypeException">Either type is none of the three.</exception>
    public static Tensor Cast(this Tensor x, DType dtype)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, dtype, x.Device);
        CastKernel.Forward(x, y);
        tape?.Record(new CastFunction(x, y), y);
        return y.Keep();
    }

    private sealed class CastFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            if (dy.DType != y.Device.FloatType)
            {
                // A backward pass that starts here does so in y's type.
                Tensor wide = Tensor.Empty(y.Shape, y.Device.FloatType, y.Device, "dy");
                CastKernel.Forward(dy, wide);
                dy.Dispose();
                dy = wide;
            }
            flow.Add(x, dy);
        }
    }
}
