using Delora.Core;

namespace Delora.Kernels;

public static partial class RowNormKernel
{
    private static void ReferenceForward(Tensor a, Tensor norm)
    {
        Span<double> from = a.Span<double>(), to = norm.Span<double>();
        int columns = a.Shape[1];
        for (int i = 0; i < to.Length; i++)
        {
            double sum = 0;
            for (int j = 0; j < columns; j++) sum += from[i * columns + j] * from[i * columns + j];
            to[i] = Math.Sqrt(sum);
        }
    }

    private static void ReferenceBackward(Tensor a, Tensor norm, Tensor dNorm, Tensor dA)
    {
        Span<double> x = a.Span<double>(), n = norm.Span<double>(), g = dNorm.Span<double>(), dx = dA.Span<double>();
        int columns = a.Shape[1];
        for (int i = 0; i < n.Length; i++)
            for (int j = 0; j < columns; j++)
                dx[i * columns + j] = n[i] == 0 ? 0 : g[i] * x[i * columns + j] / n[i];
    }
}
