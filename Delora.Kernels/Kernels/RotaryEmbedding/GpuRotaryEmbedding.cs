using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="RotaryEmbeddingKernel"/>: a thread per pair.</summary>
internal static class GpuRotaryEmbedding
{
    internal static void Rotate(
        GpuDevice gpu, Tensor x, Tensor cos, Tensor sin, Tensor? positions, int start, Tensor y, bool backward)
    {
        // Where no positions are given, a view stands in that nothing is read from.
        ArrayView<int> given = positions is null ? gpu.View<float>(x).Cast<int>() : gpu.View<int>(positions);
        gpu.Launch(
            Kernel, x.ElementCount / 2, gpu.View<float>(x), gpu.View<float>(cos), gpu.View<float>(sin), given, positions is null ? 0 : 1,
            start, gpu.View<float>(y), x.Shape[1], x.Shape[2], x.Shape[3] / 2, backward ? -1f : 1f);
    }

    private static void Kernel(
        Index1D index, ArrayView<float> x, ArrayView<float> cos, ArrayView<float> sin, ArrayView<int> positions, int hasPositions,
        int start, ArrayView<float> y, int length, int heads, int half, float sign)
    {
        int row = index.X / half, i = index.X % half, token = row / heads;
        int position = hasPositions != 0 ? positions[token] : start + token % length;
        long at = 2L * row * half + i, angle = (long)position * half + i;
        float c = cos[angle], s = sin[angle] * sign, first = x[at], second = x[at + half];
        y[at] = first * c - second * s;
        y[at + half] = second * c + first * s;
    }
}
