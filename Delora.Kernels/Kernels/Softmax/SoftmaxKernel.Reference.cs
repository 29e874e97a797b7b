using Delora.Core;

namespace Delora.Kernels;

public static partial class SoftmaxKernel
{
    private static void ReferenceForward(Tensor x, Tensor y)
    {
        int columns = x.Shape.Columns;
        for (int row = 0; row < x.Shape.Rows; row++)
        {
            Span<double> from = x.Span<double>().Slice(row * columns, columns), to = y.Span<double>().Slice(row * columns, columns);
            double max = double.NegativeInfinity, sum = 0;
            foreach (double v in from) max = Math.Max(max, v);
            for (int j = 0; j < columns; j++)
            {
                to[j] = double.IsNegativeInfinity(max) ? 0 : Math.Exp(from[j] - max);
                sum += to[j];
            }
            for (int j = 0; j < columns; j++) to[j] = double.IsNegativeInfinity(max) ? 0 : to[j] / sum;
        }
    }

    private static void ReferenceBackward(Tensor y, Tensor dy, Tensor dx)
    {
        int columns = y.Shape.Columns;
        for (int row = 0; row < y.Shape.Rows; row++)
        {
            Span<double> p = y.Span<double>().Slice(row * columns, columns), g = dy.Span<double>().Slice(row * columns, columns);
            Span<double> to = dx.Span<double>().Slice(row * columns, columns);
            double dot = 0;
            for (int j = 0; j < columns; j++) dot += p[j] * g[j];
            for (int j = 0; j < columns; j++) to[j] = p[j] * (g[j] - dot);
        }
    }
}
