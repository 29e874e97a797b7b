using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="ScaleKernel"/>.</summary>
internal static class CpuScale
{
    internal static void Forward(CpuDevice cpu, Tensor x, float factor, Tensor y) =>
        CpuMap.Unary(cpu, new ForwardOp { Factor = factor }, x, y);

    private struct ForwardOp : ICpuUnaryOp
    {
        public float Factor;

        public readonly TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => TVector.Set(Factor) * x;
    }
}
