using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="RowNormKernel"/>.</summary>
internal static unsafe class CpuRowNorm
{
    internal static void Forward(CpuDevice cpu, Tensor a, Tensor norm) =>
        Norms(cpu, a.Pointer<float>(), a.Shape[0], a.Shape[1], norm.Pointer<float>());

    /// <summary>The norms of the rows of a contiguous [rows, columns] matrix.</summary>
    internal static void Norms(CpuDevice cpu, float* x, long rows, long columns, float* norm)
    {
        var body = new ForwardBody { A = x, Norm = norm, Columns = columns };
        cpu.Team.For(rows, CpuReduce.RowGrain(columns), ref body);
    }

    internal static void Backward(CpuDevice cpu, Tensor a, Tensor norm, Tensor dNorm, Tensor dA)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Backward<V16>(cpu, a, norm, dNorm, dA); break;
            case SimdLevel.Vector256: Backward<V8>(cpu, a, norm, dNorm, dA); break;
            default: Backward<V4>(cpu, a, norm, dNorm, dA); break;
        }
    }

    private static void Backward<TVector>(CpuDevice cpu, Tensor a, Tensor norm, Tensor dNorm, Tensor dA)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new BackwardBody<TVector>
        {
            A = a.Pointer<float>(),
            Norm = norm.Pointer<float>(),
            DNorm = dNorm.Pointer<float>(),
            DA = dA.Pointer<float>(),
            Columns = a.Shape[1],
        };
        cpu.Team.For(a.Shape[0], CpuReduce.RowGrain(a.Shape[1]), ref body);
    }

    private struct ForwardBody : IRangeBody
    {
        public float* A, Norm;
        public long Columns;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
            {
                float* row = A + i * Columns;
                Norm[i] = (float)Math.Sqrt(CpuDot.Row(row, row, Columns));
            }
        }
    }

    private struct BackwardBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* A, Norm, DNorm, DA;
        public long Columns;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
            {
                float* from = A + i * Columns, to = DA + i * Columns;
                // A row of zeros gives 0/1 · 0. The quotient of all others is at most 1: it cannot overflow, however short the row.
                (float norm, float gradient) = Norm[i] == 0 ? (1, 0) : (Norm[i], DNorm[i]);
                long j = 0;
                for (; j + TVector.Count <= Columns; j += TVector.Count)
                    TVector.Store(TVector.Load(from + j) / TVector.Set(norm) * TVector.Set(gradient), to + j);
                for (; j < Columns; j++) to[j] = from[j] / norm * gradient;
            }
        }
    }
}
