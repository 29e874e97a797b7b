using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="GeluTanhKernel"/>; the GPU shares its formulas.</summary>
internal static class CpuGeluTanh
{
    internal const float Factor = 0.797884561f, Cubic = 0.044715f; // √(2/π)

    internal static void Forward(CpuDevice cpu, Tensor x, Tensor y) => CpuMap.Unary(cpu, new ForwardOp(), x, y);

    internal static void Backward(CpuDevice cpu, Tensor x, Tensor dy, Tensor dx) => CpuMap.Binary(cpu, new BackwardOp(), x, dy, dx);

    internal readonly struct ForwardOp : ICpuUnaryOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector>
        {
            TVector half = TVector.Set(0.5f) * x;
            return TVector.MultiplyAdd(half, SimdMath.Tanh(Inner(x, x * x)), half);
        }
    }

    internal readonly struct BackwardOp : ICpuBinaryOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Apply<TVector>(TVector x, TVector dy) where TVector : unmanaged, ISimd<TVector>
        {
            TVector square = x * x;
            TVector tanh = SimdMath.Tanh(Inner(x, square));
            TVector slope = TVector.MultiplyAdd(square, TVector.Set(3 * Cubic * Factor), TVector.Set(Factor));
            TVector half = TVector.Set(0.5f) * x;
            TVector sum = TVector.MultiplyAdd(TVector.Set(0.5f), tanh, TVector.Set(0.5f));
            return dy * TVector.MultiplyAdd(half * (TVector.Set(1) - tanh * tanh), slope, sum);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Inner<TVector>(TVector x, TVector square) where TVector : unmanaged, ISimd<TVector> =>
        x * TVector.MultiplyAdd(square, TVector.Set(Cubic * Factor), TVector.Set(Factor));
}
