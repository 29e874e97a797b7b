using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="AddKernel"/>.</summary>
internal static class GpuAdd
{
    internal static void Forward(GpuDevice gpu, Tensor a, Tensor b, Tensor y) => GpuMap.Binary<ForwardOp>(gpu, a, b, y);

    private readonly struct ForwardOp : IGpuBinaryOp
    {
        public static float Apply(float a, float b, float parameter) => a + b;
    }
}
