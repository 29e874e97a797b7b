using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="FrozenLinearKernel"/>.</summary>
internal static class GpuFrozenLinear
{
    internal static void Forward(GpuDevice gpu, Tensor x, GpuFrozenWeight weight, Tensor? bias, Tensor y)
    {
        using DenseWeight dense = weight.Dense();
        GpuTiledProduct.Run<LayoutNT, NoMask>(gpu, new(1, x.Shape[0], weight.Out, weight.In), x, dense.Tensor, y, bias);
    }

    internal static void Backward(GpuDevice gpu, Tensor dy, GpuFrozenWeight weight, Tensor dx, bool accumulate)
    {
        using DenseWeight dense = weight.Dense();
        GpuTiledProduct.Run<LayoutNN, NoMask>(gpu, new(1, dy.Shape[0], weight.In, weight.Out), dy, dense.Tensor, dx, null, accumulate);
    }
}
