using Delora.Core;

namespace Delora.Kernels;

public static partial class ClampKernel
{
    private static void ReferenceForward(IReadOnlyList<Tensor> tensors, IReadOnlyList<ClampRange> ranges)
    {
        for (int i = 0; i < ranges.Count; i++)
            foreach (ref double x in tensors[i].Span<double>())
                x = Math.Min(Math.Max(x, ranges[i].Min), ranges[i].Max);
    }
}
