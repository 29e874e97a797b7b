using Delora.Core;

namespace Delora.Kernels;

public static partial class MeanKernel
{
    private static void ReferenceForward(Tensor x, Tensor y, long rows, long columns)
    {
        Span<double> from = x.Span<double>(), to = y.Span<double>();
        int width = checked((int)columns);
        for (int i = 0; i < rows; i++)
        {
            double sum = 0;
            for (int j = 0; j < width; j++) sum += from[i * width + j];
            to[i] = sum / width;
        }
    }

    private static void ReferenceBackward(Tensor dy, Tensor dx, long columns)
    {
        Span<double> from = dy.Span<double>(), to = dx.Span<double>();
        int width = checked((int)columns);
        for (int i = 0; i < to.Length; i++) to[i] = from[i / width] / width;
    }
}
