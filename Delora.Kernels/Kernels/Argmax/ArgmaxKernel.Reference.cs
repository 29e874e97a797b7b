using Delora.Core;

namespace Delora.Kernels;

public static partial class ArgmaxKernel
{
    private static void ReferenceForward(Tensor x, Tensor y)
    {
        int columns = x.Shape.Columns;
        Span<int> to = y.Span<int>();
        for (int row = 0; row < to.Length; row++)
        {
            Span<double> from = x.Span<double>().Slice(row * columns, columns);
            int best = 0;
            for (int j = 1; j < columns; j++)
                if (from[j] > from[best] || (double.IsNaN(from[j]) && !double.IsNaN(from[best]))) best = j;
            to[row] = best;
        }
    }
}
