using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="DropoutKernel"/>: a thread for each Philox block, that is for four elements.</summary>
internal static class GpuDropout
{
    internal static void Apply(GpuDevice gpu, Tensor x, DropoutMask mask, Tensor y)
    {
        if (x.ElementCount == 0) return;
        // Elements of the first block that lie before the stream's start.
        int before = (int)(mask.Stream.Offset & 3);
        gpu.Launch(
            ApplyKernel, (x.ElementCount + before + 3) / 4, gpu.View<float>(x), gpu.View<float>(y), mask.Stream.Seed, mask.Stream.Offset,
            before, mask.Probability, mask.Scale);
    }

    // The scale comes from the host: a division may be rounded differently here.
    private static void ApplyKernel(
        Index1D block, ArrayView<float> x, ArrayView<float> y, ulong seed, ulong offset, int before, float probability, float scale)
    {
        long first = 4L * block - before;
        Philox.Block(seed, unchecked(offset + (ulong)first) >> 2, out uint r0, out uint r1, out uint r2, out uint r3);
        Store(x, y, first, r0, probability, scale);
        Store(x, y, first + 1, r1, probability, scale);
        Store(x, y, first + 2, r2, probability, scale);
        Store(x, y, first + 3, r3, probability, scale);
    }

    private static void Store(ArrayView<float> x, ArrayView<float> y, long i, uint word, float probability, float scale)
    {
        float factor = Philox.ToUniform(word) >= probability ? scale : 0f;
        if (i >= 0 && i < x.Length) y[i] = x[i] * factor;
    }
}
