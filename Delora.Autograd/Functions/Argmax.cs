using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>
    /// The index of the largest element over the last dimension, for instance the predicted class; see <see cref="ArgmaxKernel"/>. It has
    /// no derivative: the result is int32 and not recorded.
    /// </summary>
    /// <param name="x">[.., columns].</param>
    /// <returns>int32 [..].</returns>
    public static Tensor Argmax(this Tensor x)
    {
        using var y = new Output(RowShape.Of("Argmax", x), DType.Int32, x.Device);
        ArgmaxKernel.Forward(x, y);
        return y.Keep();
    }
}
