using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Hyperbolic tangent, elementwise; see <see cref="TanhKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Tanh(this Tensor x) => Unary(x, TanhKernel.Forward, TanhKernel.Backward, fromResult: true);
}
