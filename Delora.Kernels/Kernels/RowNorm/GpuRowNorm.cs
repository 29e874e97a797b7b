using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="RowNormKernel"/>.</summary>
internal static class GpuRowNorm
{
    internal static void Forward(GpuDevice gpu, Tensor a, Tensor norm) =>
        GpuDot.Rows(gpu, gpu.View<float>(a), gpu.View<float>(a), a.Shape[0], a.Shape[1], gpu.View<float>(norm), squareRoot: true);

    internal static void Backward(GpuDevice gpu, Tensor a, Tensor norm, Tensor dNorm, Tensor dA) =>
        gpu.Launch(
            BackwardKernel, a.ElementCount, gpu.View<float>(a), gpu.View<float>(norm), gpu.View<float>(dNorm), gpu.View<float>(dA),
            a.Shape[1]);

    private static void BackwardKernel(
        Index1D i, ArrayView<float> a, ArrayView<float> norm, ArrayView<float> dNorm, ArrayView<float> dA, int columns)
    {
        int row = i / columns;
        dA[i] = norm[row] == 0f ? 0f : a[i] / norm[row] * dNorm[row];
    }
}
