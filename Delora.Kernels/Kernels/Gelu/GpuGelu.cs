using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="GeluKernel"/>.</summary>
internal static class GpuGelu
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y) => GpuMap.UnaryShared<CpuGelu.ForwardOp>(gpu, x, y);

    internal static void Backward(GpuDevice gpu, Tensor x, Tensor dy, Tensor dx) => GpuMap.BinaryShared<CpuGelu.BackwardOp>(gpu, x, dy, dx);
}
