using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="MultiplyKernel"/>.</summary>
internal static class CpuMultiply
{
    internal static void Forward(CpuDevice cpu, Tensor a, Tensor b, Tensor y) => CpuMap.Binary(cpu, new CpuProduct(), a, b, y);
}
