using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="GeluKernel"/>; the GPU shares its formulas.</summary>
internal static class CpuGelu
{
    internal static void Forward(CpuDevice cpu, Tensor x, Tensor y) => CpuMap.Unary(cpu, new ForwardOp(), x, y);

    internal static void Backward(CpuDevice cpu, Tensor x, Tensor dy, Tensor dx) => CpuMap.Binary(cpu, new BackwardOp(), x, dy, dx);

    internal readonly struct ForwardOp : ICpuUnaryOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> =>
            x * SimdMath.NormalCdf(x);
    }

    internal readonly struct BackwardOp : ICpuBinaryOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Apply<TVector>(TVector x, TVector dy) where TVector : unmanaged, ISimd<TVector>
        {
            (TVector cdf, TVector density) = SimdMath.Normal(x);
            return dy * TVector.MultiplyAdd(x, density, cdf);
        }
    }
}
