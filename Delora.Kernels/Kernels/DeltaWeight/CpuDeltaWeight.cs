using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="DeltaWeightKernel"/>.</summary>
internal static unsafe class CpuDeltaWeight
{
    /// <summary>result = sign · B'A', plus weight where one is given; the result may be the weight.</summary>
    internal static void Run(CpuDevice cpu, Tensor foldedA, Tensor foldedB, Tensor? weight, float sign, Tensor result)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Run<V16>(cpu, foldedA, foldedB, weight, sign, result); break;
            case SimdLevel.Vector256: Run<V8>(cpu, foldedA, foldedB, weight, sign, result); break;
            default: Run<V4>(cpu, foldedA, foldedB, weight, sign, result); break;
        }
    }

    private static void Run<TVector>(CpuDevice cpu, Tensor foldedA, Tensor foldedB, Tensor? weight, float sign, Tensor result)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new Body<TVector>
        {
            A = foldedA.Pointer<float>(),
            B = foldedB.Pointer<float>(),
            Weight = weight is null ? null : weight.Pointer<float>(),
            Sign = sign,
            Result = result.Pointer<float>(),
            Rank = foldedA.Shape[0],
            Columns = foldedA.Shape[1],
        };
        cpu.Team.For(foldedB.Shape[0], Math.Max(4, CpuReduce.RowGrain(foldedA.Shape[1])), ref body);
    }

    private struct Body<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* A, B, Weight, Result;
        public float Sign;
        public long Rank, Columns;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            long i = start;
            for (; i + 4 <= end; i += 4)
            {
                long j = 0;
                for (; j + 2 * TVector.Count <= Columns; j += 2 * TVector.Count) FourRows(i, j);
                for (; j + TVector.Count <= Columns; j += TVector.Count)
                    for (int row = 0; row < 4; row++) One<TVector>(i + row, j);
                for (; j < Columns; j++)
                    for (int row = 0; row < 4; row++) One<V1>(i + row, j);
            }
            for (; i < end; i++)
            {
                long j = 0;
                for (; j + TVector.Count <= Columns; j += TVector.Count) One<TVector>(i, j);
                for (; j < Columns; j++) One<V1>(i, j);
            }
        }

        /// <summary>Four rows by two vectors: each vector of A' serves four rows.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void FourRows(long i, long j)
        {
            TVector s00 = TVector.Set(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
            float* a = A + j, b0 = B + i * Rank, b1 = b0 + Rank, b2 = b1 + Rank, b3 = b2 + Rank;
            for (long k = 0; k < Rank; k++, a += Columns)
            {
                TVector a0 = TVector.Load(a), a1 = TVector.Load(a + TVector.Count);
                TVector b = TVector.Set(b0[k]);
                s00 = TVector.MultiplyAdd(b, a0, s00);
                s01 = TVector.MultiplyAdd(b, a1, s01);
                b = TVector.Set(b1[k]);
                s10 = TVector.MultiplyAdd(b, a0, s10);
                s11 = TVector.MultiplyAdd(b, a1, s11);
                b = TVector.Set(b2[k]);
                s20 = TVector.MultiplyAdd(b, a0, s20);
                s21 = TVector.MultiplyAdd(b, a1, s21);
                b = TVector.Set(b3[k]);
                s30 = TVector.MultiplyAdd(b, a0, s30);
                s31 = TVector.MultiplyAdd(b, a1, s31);
            }
            long at = i * Columns + j;
            Put(s00, at);
            Put(s01, at + TVector.Count);
            Put(s10, at + Columns);
            Put(s11, at + Columns + TVector.Count);
            Put(s20, at + 2 * Columns);
            Put(s21, at + 2 * Columns + TVector.Count);
            Put(s30, at + 3 * Columns);
            Put(s31, at + 3 * Columns + TVector.Count);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void One<T>(long i, long j) where T : unmanaged, ISimd<T>
        {
            T sum = T.Set(0);
            for (long k = 0; k < Rank; k++) sum = T.MultiplyAdd(T.Set(B[i * Rank + k]), T.Load(A + k * Columns + j), sum);
            Put(sum, i * Columns + j);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void Put<T>(T sum, long at) where T : unmanaged, ISimd<T> =>
            T.Store(Weight == null ? sum : T.MultiplyAdd(sum, T.Set(Sign), T.Load(Weight + at)), Result + at);
    }
}
