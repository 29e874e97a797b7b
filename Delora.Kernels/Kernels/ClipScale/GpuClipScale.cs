using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="ClipScaleKernel"/>.</summary>
internal static class GpuClipScale
{
    internal static void Forward(GpuDevice gpu, Tensor norm, float maxNorm, Tensor scale) =>
        GpuMap.Unary<ScaleOp>(gpu, norm, scale, maxNorm);

    private readonly struct ScaleOp : IGpuUnaryOp
    {
        public static float Apply(float norm, float maxNorm) => ClipScaleKernel.Scale(norm, maxNorm);
    }
}
