using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="ScaleKernel"/>.</summary>
internal static class GpuScale
{
    internal static void Forward(GpuDevice gpu, Tensor x, float factor, Tensor y) => GpuMap.Unary<ForwardOp>(gpu, x, y, factor);

    private readonly struct ForwardOp : IGpuUnaryOp
    {
        public static float Apply(float x, float parameter) => parameter * x;
    }
}
