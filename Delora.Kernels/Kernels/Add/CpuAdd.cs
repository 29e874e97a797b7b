using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="AddKernel"/>.</summary>
internal static class CpuAdd
{
    internal static void Forward(CpuDevice cpu, Tensor a, Tensor b, Tensor y) => CpuMap.Binary(cpu, new ForwardOp(), a, b, y);

    internal readonly struct ForwardOp : ICpuBinaryOp
    {
        public TVector Apply<TVector>(TVector a, TVector b) where TVector : unmanaged, ISimd<TVector> => a + b;
    }
}
