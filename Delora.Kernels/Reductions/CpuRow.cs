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

    /// <summary>y[j] = f(x[j]), and Σ y[j]: blocks in float32, joined in float64, in an order that the count and the vectors' width fix.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static double MapSum<TOp, TVector>(TOp op, float* x, float* y, long count)
        where TOp : struct, ICpuUnaryOp where TVector : unmanaged, ISimd<TVector>
    {
        double sum = 0;
        long j = 0, last = count - count % TVector.Count;
        while (j < last)
        {
            long end = Math.Min(j + CpuReduce.BlockLength, last);
            TVector s0 = TVector.Set(0), s1 = s0;
            for (; j + 2 * TVector.Count <= end; j += 2 * TVector.Count)
            {
                TVector first = op.Apply(TVector.Load(x + j)), second = op.Apply(TVector.Load(x + j + TVector.Count));
                TVector.Store(first, y + j);
                TVector.Store(second, y + j + TVector.Count);
                s0 += first;
                s1 += second;
            }
            for (; j < end; j += TVector.Count)
            {
                TVector value = op.Apply(TVector.Load(x + j));
                TVector.Store(value, y + j);
                s0 += value;
            }
            sum += TVector.Sum(s0 + s1);
        }
        for (; j < count; j++)
        {
            V1 value = op.Apply(V1.Load(x + j));
            V1.Store(value, y + j);
            sum += value.Value;
        }
        return sum;
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
