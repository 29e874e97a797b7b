using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="ColumnNormKernel"/>.</summary>
internal static class GpuColumnNorm
{
    internal static void Forward(GpuDevice gpu, Tensor w, Tensor norm)
    {
        ArrayView<float> x = gpu.View<float>(w);
        GpuDot.Columns(gpu, x, x, w.Shape[1], w.Shape[0], w.Shape[1], gpu.View<float>(norm), squareRoot: true);
    }

    internal static void Backward(GpuDevice gpu, Tensor w, Tensor norm, Tensor dNorm, Tensor dW) =>
        gpu.Launch(
            BackwardKernel, w.ElementCount, gpu.View<float>(w), gpu.View<float>(norm), gpu.View<float>(dNorm), gpu.View<float>(dW),
            w.Shape[1]);

    private static void BackwardKernel(
        Index1D i, ArrayView<float> w, ArrayView<float> norm, ArrayView<float> dNorm, ArrayView<float> dW, int columns)
    {
        int column = i % columns;
        dW[i] = norm[column] == 0f ? 0f : w[i] / norm[column] * dNorm[column];
    }
}
