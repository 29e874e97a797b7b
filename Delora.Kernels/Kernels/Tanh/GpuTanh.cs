using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="TanhKernel"/>.</summary>
internal static class GpuTanh
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y) => GpuMap.UnaryShared<CpuTanh.ForwardOp>(gpu, x, y);

    internal static void Backward(GpuDevice gpu, Tensor y, Tensor dy, Tensor dx) => GpuMap.BinaryShared<CpuTanh.BackwardOp>(gpu, y, dy, dx);
}
