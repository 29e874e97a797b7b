using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="ReluKernel"/>.</summary>
internal static class CpuRelu
{
    internal static void Forward(CpuDevice cpu, Tensor x, Tensor y) => CpuMap.Unary(cpu, new ForwardOp(), x, y);

    internal static void Backward(CpuDevice cpu, Tensor x, Tensor dy, Tensor dx) => CpuMap.Binary(cpu, new BackwardOp(), x, dy, dx);

    internal readonly struct ForwardOp : ICpuUnaryOp
    {
        public TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => TVector.Max(x, TVector.Set(0));
    }

    private readonly struct BackwardOp : ICpuBinaryOp
    {
        public TVector Apply<TVector>(TVector x, TVector dy) where TVector : unmanaged, ISimd<TVector> =>
            TVector.Select(TVector.GreaterThan(x, TVector.Set(0)), dy, TVector.Set(0));
    }
}
