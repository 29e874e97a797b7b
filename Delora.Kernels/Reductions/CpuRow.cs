using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Elementwise loops over one row on the calling thread: the pieces of fused row kernels. The output may be one of the inputs.
/// </summary>
internal static unsafe class CpuRow
{
    /// <summary>y[j] = f(x[j]).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Map<TOp, TVector>(TOp op, float* x, float* y, long count)
        where TOp : struct, ICpuUnaryOp where TVector : unmanaged, ISimd<TVector>
    {
        long j = 0;
        for (; j + TVector.Count <= count; j += TVector.Count) TVector.Store(op.Apply(TVector.Load(x + j)), y + j);
        for (; j < count; j++) V1.Store(op.Apply(V1.Load(x + j)), y + j);
    }

    /// <summary>y[j] = f(a[j], b[j]).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Map<TOp, TVector>(TOp op, float* a, float* b, float* y, long count)
        where TOp : struct, ICpuBinaryOp where TVector : unmanaged, ISimd<TVector>
    {
        long j = 0;
        for (; j + TVector.Count <= count; j += TVector.Count) TVector.Store(op.Apply(TVector.Load(a + j), TVector.Load(b + j)), y + j);
        for (; j < count; j++) V1.Store(op.Apply(V1.Load(a + j), V1.Load(b + j)), y + j);
    }
}

/// <summary>f(x) = factor · e^(x − shift) for x ≤ shift: softmax with its maximum, or with its log-sum-exp.</summary>
internal readonly struct CpuShiftedExp(float shift, float factor) : ICpuUnaryOp
{
    public TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> =>
        TVector.Set(factor) * SimdMath.ExpNonPositive(x - TVector.Set(shift));
}

/// <summary>f(x) = factor · x.</summary>
internal readonly struct CpuScaled(float factor) : ICpuUnaryOp
{
    public TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => TVector.Set(factor) * x;
}
