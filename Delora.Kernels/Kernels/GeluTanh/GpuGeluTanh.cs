using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="GeluTanhKernel"/>.</summary>
internal static class GpuGeluTanh
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y) => GpuMap.UnaryShared<CpuGeluTanh.ForwardOp>(gpu, x, y);

    internal static void Backward(GpuDevice gpu, Tensor x, Tensor dy, Tensor dx) =>
        GpuMap.BinaryShared<CpuGeluTanh.BackwardOp>(gpu, x, dy, dx);
}
