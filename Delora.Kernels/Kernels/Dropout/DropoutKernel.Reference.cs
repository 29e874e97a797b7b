using Delora.Core;

namespace Delora.Kernels;

public static partial class DropoutKernel
{
    private static void ReferenceApply(Tensor x, DropoutMask mask, Tensor y)
    {
        Span<double> from = x.Span<double>(), to = y.Span<double>();
        double scale = 1.0 / (1.0 - mask.Probability);
        for (int i = 0; i < from.Length; i++) to[i] = from[i] * (mask.Stream.Uniform(i) >= mask.Probability ? scale : 0);
    }
}
