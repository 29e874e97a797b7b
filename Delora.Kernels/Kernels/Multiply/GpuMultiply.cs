using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="MultiplyKernel"/>.</summary>
internal static class GpuMultiply
{
    internal static void Forward(GpuDevice gpu, Tensor a, Tensor b, Tensor y) => GpuMap.Binary<GpuProduct>(gpu, a, b, y);
}
