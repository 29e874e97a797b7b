using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="ConcatKernel"/>.</summary>
internal static class GpuConcat
{
    internal static void Copy(GpuDevice gpu, Tensor part, Tensor whole, ConcatRows rows, bool fromWhole)
    {
        ArrayView<float> p = gpu.View<float>(part), w = gpu.View<float>(whole);
        if (fromWhole) gpu.Launch(GatherKernel, p.Length, p, w, rows.Length, rows.Stride, rows.Start);
        else gpu.Launch(ScatterKernel, p.Length, p, w, rows.Length, rows.Stride, rows.Start);
    }

    private static void GatherKernel(Index1D i, ArrayView<float> part, ArrayView<float> whole, long length, long stride, long start) =>
        part[i] = whole[i / length * stride + start + i % length];

    private static void ScatterKernel(Index1D i, ArrayView<float> part, ArrayView<float> whole, long length, long stride, long start) =>
        whole[i / length * stride + start + i % length] = part[i];
}
