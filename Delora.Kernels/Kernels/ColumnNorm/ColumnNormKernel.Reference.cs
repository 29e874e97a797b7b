using Delora.Core;

namespace Delora.Kernels;

public static partial class ColumnNormKernel
{
    private static void ReferenceForward(Tensor w, Tensor norm)
    {
        Span<double> from = w.Span<double>(), to = norm.Span<double>();
        int rows = w.Shape[0], columns = w.Shape[1];
        for (int j = 0; j < columns; j++)
        {
            double sum = 0;
            for (int i = 0; i < rows; i++) sum += from[i * columns + j] * from[i * columns + j];
            to[j] = Math.Sqrt(sum);
        }
    }

    private static void ReferenceBackward(Tensor w, Tensor norm, Tensor dNorm, Tensor dW)
    {
        Span<double> x = w.Span<double>(), n = norm.Span<double>(), g = dNorm.Span<double>(), dx = dW.Span<double>();
        int rows = w.Shape[0], columns = w.Shape[1];
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                dx[i * columns + j] = n[j] == 0 ? 0 : g[j] * x[i * columns + j] / n[j];
    }
}
