using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Logistic function, 1/(1 + e^−x), elementwise; see <see cref="SigmoidKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Sigmoid(this Tensor x) => Unary(x, SigmoidKernel.Forward, SigmoidKernel.Backward, fromResult: true);
}
