using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="MatMulKernel"/>.</summary>
internal static class GpuMatMul
{
    internal static void Forward(GpuDevice gpu, MatMulSize size, Tensor a, Tensor b, Tensor c, MatMulLayout layout, Tensor? bias, bool accumulate)
    {
        switch (layout)
        {
            case MatMulLayout.NN: GpuTiledProduct.Run<LayoutNN, NoMask>(gpu, size, a, b, c, bias, accumulate); break;
            case MatMulLayout.NT: GpuTiledProduct.Run<LayoutNT, NoMask>(gpu, size, a, b, c, bias, accumulate); break;
            default: GpuTiledProduct.Run<LayoutTN, NoMask>(gpu, size, a, b, c, bias, accumulate); break;
        }
    }
}
