using Delora.Core;

namespace Delora.Kernels;

public static partial class NonFiniteKernel
{
    private static void ReferenceForward(ReadOnlySpan<Tensor> tensors, Tensor count)
    {
        long total = 0;
        foreach (Tensor tensor in tensors)
            foreach (double value in tensor.Span<double>())
                if (!double.IsFinite(value)) total++;
        count.Span<int>()[0] = (int)Math.Min(total, int.MaxValue);
    }
}
