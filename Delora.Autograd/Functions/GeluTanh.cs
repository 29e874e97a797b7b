using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Gaussian error linear unit in its tanh form, elementwise; see <see cref="GeluTanhKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor GeluTanh(this Tensor x) => Unary(x, GeluTanhKernel.Forward, GeluTanhKernel.Backward, fromResult: false);
}
