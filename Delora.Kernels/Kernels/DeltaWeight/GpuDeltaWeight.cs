using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="DeltaWeightKernel"/>: a thread per element.</summary>
internal static class GpuDeltaWeight
{
    internal static void Forward(GpuDevice gpu, Tensor foldedA, Tensor foldedB, Tensor delta) =>
        gpu.Launch(
            ForwardKernel, delta.ElementCount, gpu.View<float>(foldedA), gpu.View<float>(foldedB), gpu.View<float>(delta),
            foldedA.Shape[0], foldedA.Shape[1]);

    internal static void Add(GpuDevice gpu, Tensor foldedA, Tensor foldedB, Tensor weight, bool negative) =>
        gpu.Launch(
            AddKernel, weight.ElementCount, gpu.View<float>(foldedA), gpu.View<float>(foldedB), gpu.View<float>(weight),
            foldedA.Shape[0], foldedA.Shape[1], negative ? -1f : 1f);

    private static void ForwardKernel(Index1D i, ArrayView<float> a, ArrayView<float> b, ArrayView<float> delta, int rank, int columns) =>
        delta[i] = Element(i, a, b, rank, columns);

    private static void AddKernel(Index1D i, ArrayView<float> a, ArrayView<float> b, ArrayView<float> weight, int rank, int columns,
        float sign) =>
        weight[i] += sign * Element(i, a, b, rank, columns);

    private static float Element(int i, ArrayView<float> a, ArrayView<float> b, int rank, int columns)
    {
        int row = i / columns, column = i - row * columns;
        float sum = 0;
        for (int k = 0; k < rank; k++) sum += b[(long)row * rank + k] * a[(long)k * columns + column];
        return sum;
    }
}
