using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="SiluKernel"/>.</summary>
internal static class GpuSilu
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y) => GpuMap.UnaryShared<CpuSilu.ForwardOp>(gpu, x, y);

    internal static void Backward(GpuDevice gpu, Tensor x, Tensor dy, Tensor dx) => GpuMap.BinaryShared<CpuSilu.BackwardOp>(gpu, x, dy, dx);
}
