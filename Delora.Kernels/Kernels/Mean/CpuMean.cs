using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="MeanKernel"/>: sums, scaled.</summary>
internal static class CpuMean
{
    internal static void Forward(CpuDevice cpu, Tensor x, Tensor y, long rows, long columns) =>
        CpuSum.Forward(cpu, x, y, rows, columns, 1.0 / columns);

    internal static void Backward(CpuDevice cpu, Tensor dy, Tensor dx, long columns) =>
        CpuSum.Backward(cpu, dy, dx, columns, (float)(1.0 / columns));
}
