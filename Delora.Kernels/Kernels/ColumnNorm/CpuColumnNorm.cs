using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="ColumnNormKernel"/>.</summary>
internal static unsafe class CpuColumnNorm
{
    internal static void Forward(CpuDevice cpu, Tensor w, Tensor norm) =>
        Norms(cpu, w.Pointer<float>(), w.Shape[0], w.Shape[1], norm.Pointer<float>());

    /// <summary>The norms of the columns of a contiguous [rows, columns] matrix.</summary>
    internal static void Norms(CpuDevice cpu, float* x, long rows, long columns, float* norm)
    {
        using var sums = new HostScratch(cpu, checked(columns * sizeof(double)), "ColumnNorm.sums");
        CpuDot.Columns(cpu, x, columns, x, columns, rows, columns, sums.Doubles);
        for (long j = 0; j < columns; j++) norm[j] = (float)Math.Sqrt(sums.Doubles[j]);
    }

    internal static void Backward(CpuDevice cpu, Tensor w, Tensor norm, Tensor dNorm, Tensor dW)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Backward<V16>(cpu, w, norm, dNorm, dW); break;
            case SimdLevel.Vector256: Backward<V8>(cpu, w, norm, dNorm, dW); break;
            default: Backward<V4>(cpu, w, norm, dNorm, dW); break;
        }
    }

    private static void Backward<TVector>(CpuDevice cpu, Tensor w, Tensor norm, Tensor dNorm, Tensor dW)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new BackwardBody<TVector>
        {
            W = w.Pointer<float>(),
            Norm = norm.Pointer<float>(),
            DNorm = dNorm.Pointer<float>(),
            DW = dW.Pointer<float>(),
            Columns = w.Shape[1],
        };
        cpu.Team.For(w.Shape[0], CpuReduce.RowGrain(w.Shape[1]), ref body);
    }

    private struct BackwardBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* W, Norm, DNorm, DW;
        public long Columns;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
            {
                float* from = W + i * Columns, to = DW + i * Columns;
                long j = 0;
                for (; j + TVector.Count <= Columns; j += TVector.Count)
                    TVector.Store(Gradient(TVector.Load(from + j), TVector.Load(Norm + j), TVector.Load(DNorm + j)), to + j);
                for (; j < Columns; j++) V1.Store(Gradient(V1.Load(from + j), V1.Load(Norm + j), V1.Load(DNorm + j)), to + j);
            }
        }

        // Below the smallest number is only zero; the comparison fails for NaN, which therefore passes.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static T Gradient<T>(T x, T norm, T g) where T : unmanaged, ISimd<T> =>
            T.Select(T.GreaterThan(T.Set(float.Epsilon), norm), T.Set(0), x / norm * g);
    }
}
