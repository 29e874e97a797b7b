using Delora.Core;

namespace Delora.Kernels;

public static partial class AddBiasKernel
{
    private static void ReferenceForward(Tensor x, Tensor bias, Tensor y)
    {
        Span<double> from = x.Span<double>(), b = bias.Span<double>(), to = y.Span<double>();
        for (int i = 0; i < from.Length; i++) to[i] = from[i] + b[i % b.Length];
    }

    private static void ReferenceBackward(Tensor dy, Tensor dBias, bool accumulate)
    {
        Span<double> from = dy.Span<double>(), sum = dBias.Span<double>();
        if (!accumulate) sum.Clear();
        for (int i = 0; i < from.Length; i++) sum[i % sum.Length] += from[i];
    }
}
