using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>The mean of all elements; see <see cref="MeanKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>A scalar, [].</returns>
    public static Tensor Mean(this Tensor x) => Reduction(x, [], MeanKernel.Forward, MeanKernel.Backward);

    /// <summary>The mean of each row, that is over the last dimension; see <see cref="MeanKernel"/>.</summary>
    /// <param name="x">[.., columns].</param>
    /// <returns>[..]: the shape of x without its last dimension.</returns>
    public static Tensor MeanRows(this Tensor x) => Reduction(x, RowShape.Of("Mean", x), MeanKernel.ForwardRows, MeanKernel.BackwardRows);
}
