using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

/// <summary>The operations on tensors, as extension methods: one file each. Every one is recorded by the current <see cref="Tape"/>.</summary>
public static partial class Functions
{
    /// <summary>Rectified linear unit, max(x, 0), elementwise; see <see cref="ReluKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Relu(this Tensor x) => Unary(x, ReluKernel.Forward, ReluKernel.Backward, fromResult: false);
}
