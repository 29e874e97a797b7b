using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="SigmoidKernel"/>.</summary>
internal static class GpuSigmoid
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y) => GpuMap.UnaryShared<CpuSigmoid.ForwardOp>(gpu, x, y);

    internal static void Backward(GpuDevice gpu, Tensor y, Tensor dy, Tensor dx) =>
        GpuMap.BinaryShared<CpuSigmoid.BackwardOp>(gpu, y, dy, dx);
}
