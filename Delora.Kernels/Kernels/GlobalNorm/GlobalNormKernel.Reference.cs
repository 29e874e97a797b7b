using Delora.Core;

namespace Delora.Kernels;

public static partial class GlobalNormKernel
{
    private static void ReferenceForward(ReadOnlySpan<Tensor> tensors, Tensor norm)
    {
        double sum = 0;
        foreach (Tensor tensor in tensors)
            foreach (double value in tensor.Span<double>()) sum += value * value;
        norm.Span<double>()[0] = Math.Sqrt(sum);
    }
}
