using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="DropoutKernel"/>: a thread for each Philox block, that is for four elements.</summary>
internal static class GpuDropout
{
    internal static void Apply(GpuDevice gpu, Tensor x, DropoutMask mask, Tensor y)
    {
        if (x.ElementCount == 0) return;
        ArrayView<float> view = gpu.View<float>(x);
        // As many blocks as there can be: the first may begin before the stream does.
        gpu.Launch(ApplyKernel, (x.ElementCount + 6) / 4, view, gpu.View<float>(y), new GpuDropoutMask(gpu, mask, view), mask.Scale);
    }

    // The scale comes from the host: a division may be rounded differently here.
    private static void ApplyKernel(Index1D block, ArrayView<float> x, ArrayView<float> y, GpuDropoutMask given, float scale)
    {
        DropoutMask mask = given.Here();
        ulong offset = mask.Stream.Offset;
        // Elements of the first block that lie before the stream's start.
        long first = 4L * block - (long)(offset & 3);
        Philox.Block(mask.Stream.Seed, unchecked(offset + (ulong)first) >> 2, out uint r0, out uint r1, out uint r2, out uint r3);
        Store(x, y, first, r0, mask.Probability, scale);
        Store(x, y, first + 1, r1, mask.Probability, scale);
        Store(x, y, first + 2, r2, mask.Probability, scale);
        Store(x, y, first + 3, r3, mask.Probability, scale);
    }

    private static void Store(ArrayView<float> x, ArrayView<float> y, long i, uint word, float probability, float scale)
    {
        float factor = Philox.ToUniform(word) >= probability ? scale : 0f;
        if (i >= 0 && i < x.Length) y[i] = x[i] * factor;
    }
}
