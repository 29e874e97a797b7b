using Delora.Core;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="ReluKernel"/>.</summary>
internal static class GpuRelu
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y) => GpuMap.Unary<ForwardOp>(gpu, x, y);

    internal static void Backward(GpuDevice gpu, Tensor x, Tensor dy, Tensor dx) => GpuMap.Binary<BackwardOp>(gpu, x, dy, dx);

    private readonly struct ForwardOp : IGpuUnaryOp
    {
        // Written so that NaN fails the comparison and passes through.
        public static float Apply(float x, float parameter) => x < 0f ? 0f : x;
    }

    private readonly struct BackwardOp : IGpuBinaryOp
    {
        public static float Apply(float x, float dy, float parameter) => x > 0f ? dy : 0f;
    }
}
