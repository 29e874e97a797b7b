using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Gaussian error linear unit, x·Φ(x), elementwise; see <see cref="GeluKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Gelu(this Tensor x) => Unary(x, GeluKernel.Forward, GeluKernel.Backward, fromResult: false);
}
