using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="MeanKernel"/>: sums, scaled.</summary>
internal static class GpuMean
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y, long rows, long columns) =>
        GpuSum.Forward(gpu, x, y, rows, columns, (float)(1.0 / columns));

    internal static void Backward(GpuDevice gpu, Tensor dy, Tensor dx, long columns) =>
        GpuSum.Backward(gpu, dy, dx, columns, (float)(1.0 / columns));
}
