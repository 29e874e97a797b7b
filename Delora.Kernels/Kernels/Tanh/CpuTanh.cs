using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="TanhKernel"/>; the GPU shares its formulas.</summary>
internal static class CpuTanh
{
    internal static void Forward(CpuDevice cpu, Tensor x, Tensor y) => CpuMap.Unary(cpu, new ForwardOp(), x, y);

    internal static void Backward(CpuDevice cpu, Tensor y, Tensor dy, Tensor dx) => CpuMap.Binary(cpu, new BackwardOp(), y, dy, dx);

    internal readonly struct ForwardOp : ICpuUnaryOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> =>
            SimdMath.Tanh(x);
    }

    internal readonly struct BackwardOp : ICpuBinaryOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Apply<TVector>(TVector y, TVector dy) where TVector : unmanaged, ISimd<TVector> =>
            dy * (TVector.Set(1) - y * y);
    }
}
