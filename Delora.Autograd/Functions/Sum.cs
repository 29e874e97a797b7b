using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>The sum of all elements; see <see cref="SumKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>A scalar, [].</returns>
    public static Tensor Sum(this Tensor x) => Reduction(x, [], SumKernel.Forward, SumKernel.Backward);

    /// <summary>The sum of each row, that is over the last dimension; see <see cref="SumKernel"/>.</summary>
    /// <param name="x">[.., columns].</param>
    /// <returns>[..]: the shape of x without its last dimension.</returns>
    public static Tensor SumRows(this Tensor x) => Reduction(x, RowShape.Of("Sum", x), SumKernel.ForwardRows, SumKernel.BackwardRows);
}
