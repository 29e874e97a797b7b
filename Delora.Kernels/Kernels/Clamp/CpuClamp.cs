using Delora.Core;

namespace Delora.Kernels;

/// <summary>The CPU implementation of <see cref="ClampKernel"/>: few numbers.</summary>
internal static class CpuClamp
{
    internal static void Forward(IReadOnlyList<Tensor> tensors, IReadOnlyList<ClampRange> ranges)
    {
        for (int i = 0; i < ranges.Count; i++)
        {
            (float min, float max) = ((float)ranges[i].Min, (float)ranges[i].Max);
            foreach (ref float x in tensors[i].Span<float>()) x = ClampKernel.Clamp(x, min, max);
        }
    }
}
