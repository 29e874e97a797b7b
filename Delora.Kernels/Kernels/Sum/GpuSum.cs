using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="SumKernel"/> and <see cref="MeanKernel"/>.</summary>
internal static class GpuSum
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y, long rows, long columns, float scale)
    {
        if (rows == 1) GpuReduce.All<GpuIdentity, GpuPlus>(gpu, gpu.View<float>(x), gpu.View<float>(y), scale);
        else GpuReduce.Rows<GpuIdentity, GpuPlus>(gpu, gpu.View<float>(x), rows, columns, gpu.View<float>(y), scale);
    }

    internal static void Backward(GpuDevice gpu, Tensor dy, Tensor dx, long columns, float scale) =>
        gpu.Launch(BackwardKernel, dx.ElementCount, gpu.View<float>(dy), gpu.View<float>(dx), columns, scale);

    private static void BackwardKernel(Index1D i, ArrayView<float> dy, ArrayView<float> dx, long columns, float scale) =>
        dx[i] = dy[i / columns] * scale;
}
