using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Sigmoid linear unit, x·σ(x), elementwise; see <see cref="SiluKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Silu(this Tensor x) => Unary(x, SiluKernel.Forward, SiluKernel.Backward, fromResult: false);
}
