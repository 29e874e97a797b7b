using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Softmax over the last dimension; see <see cref="SoftmaxKernel"/> (also for masked rows).</summary>
    /// <param name="x">[.., columns].</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Softmax(this Tensor x) => Unary(x, SoftmaxKernel.Forward, SoftmaxKernel.Backward, fromResult: true);
}
