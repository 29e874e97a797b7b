using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="DeloraFoldKernel"/>.</summary>
internal static unsafe class CpuDeloraFold
{
    internal static void Forward(
        CpuDevice cpu, Tensor a, Tensor b, Tensor lambda, Tensor w, Tensor scales, Tensor? foldedA, Tensor? foldedB, int offset,
        bool negative)
    {
        int rank = a.Shape[0], columns = a.Shape[1], rows = b.Shape[0];
        float* x = a.Pointer<float>(), y = b.Pointer<float>(), s = scales.Pointer<float>();
        CpuRowNorm.Norms(cpu, x, rank, columns, s);
        CpuColumnNorm.Norms(cpu, y, rows, rank, s + rank);
        double signed = negative ? -(double)*lambda.Pointer<float>() : *lambda.Pointer<float>();
        for (int i = 0; i < rank; i++) s[2 * rank + i] = (float)DeloraScale.Scale(signed, rank, s[i], s[rank + i], DeloraScale.MinNorm);
        if (foldedA is not null)
            Combine(cpu, new Terms
            {
                Rows = rank,
                Columns = columns,
                U = w.Pointer<float>(),
                V = x,
                VStride = columns,
                Y = foldedA.Pointer<float>() + (long)offset * columns,
                YStride = columns,
            });
        if (foldedB is not null)
            Combine(cpu, new Terms
            {
                Rows = rows,
                Columns = rank,
                U = s + 2 * rank,
                V = y,
                VStride = rank,
                Y = foldedB.Pointer<float>() + offset,
                YStride = foldedB.Shape[1],
            });
    }

    internal static void Backward(
        CpuDevice cpu, Tensor a, Tensor b, Tensor w, Tensor scales, Tensor? dFoldedA, Tensor? dFoldedB, Tensor? dA, Tensor? dB,
        Tensor? dLambda, int offset, bool negative, FoldSums sums)
    {
        int rank = a.Shape[0], columns = a.Shape[1], rows = b.Shape[0];
        float* x = a.Pointer<float>(), y = b.Pointer<float>(), s = scales.Pointer<float>();
        using var scratch = new HostScratch(cpu, (long)rank * (sizeof(double) + 2 * sizeof(float)), "DeloraFold.Backward");
        double* ds = scratch.Doubles;
        float* alongA = (float*)(ds + rank), alongB = alongA + rank;
        if (dFoldedB is null) new Span<double>(ds, rank).Clear();
        else CpuDot.Columns(cpu, y, rank, dFoldedB.Pointer<float>() + offset, dFoldedB.Shape[1], rows, rank, ds);
        double sumLambda = 0;
        for (int i = 0; i < rank; i++)
        {
            double normA = s[i], normB = s[rank + i], scale = s[2 * rank + i];
            sumLambda += ds[i] * DeloraScale.Scale(negative ? -1.0 : 1.0, rank, normA, normB, DeloraScale.MinNorm);
            alongA[i] = (float)DeloraScale.ThroughNorm(ds[i], scale, normA, DeloraScale.MinNorm);
            alongB[i] = (float)DeloraScale.ThroughNorm(ds[i], scale, normB, DeloraScale.MinNorm);
        }
        if (dLambda is not null) *dLambda.Pointer<float>() = (sums.HasFlag(FoldSums.Lambda) ? *dLambda.Pointer<float>() : 0) + (float)sumLambda;
        if (dA is not null)
            Combine(cpu, new Terms
            {
                Rows = rank,
                Columns = columns,
                U = w.Pointer<float>(),
                VStride = columns,
                V = dFoldedA is null ? null : dFoldedA.Pointer<float>() + (long)offset * columns,
                C = alongA,
                PerRow = true,
                X = x,
                Y = dA.Pointer<float>(),
                YStride = columns,
                Accumulate = sums.HasFlag(FoldSums.A),
            });
        if (dB is not null)
            Combine(cpu, new Terms
            {
                Rows = rows,
                Columns = rank,
                U = s + 2 * rank,
                VStride = dFoldedB?.Shape[1] ?? 0,
                V = dFoldedB is null ? null : dFoldedB.Pointer<float>() + offset,
                C = alongB,
                X = y,
                Y = dB.Pointer<float>(),
                YStride = rank,
                Accumulate = sums.HasFlag(FoldSums.B),
            });
    }

    private static void Combine(CpuDevice cpu, in Terms terms)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Combine<V16>(cpu, terms); break;
            case SimdLevel.Vector256: Combine<V8>(cpu, terms); break;
            default: Combine<V4>(cpu, terms); break;
        }
    }

    private static void Combine<TVector>(CpuDevice cpu, in Terms terms) where TVector : unmanaged, ISimd<TVector>
    {
        var body = new CombineBody<TVector> { Terms = terms };
        cpu.Team.For(terms.Rows, CpuReduce.RowGrain(terms.Columns), ref body);
    }

    /// <summary>
    /// Y = U ∘ V − C ∘ X, or Y += that, row by row: U holds one factor per column, C one per column or per row. A null V or C leaves its term
    /// out. X is contiguous.
    /// </summary>
    private struct Terms
    {
        public long Rows, Columns, VStride, YStride;
        public float* U, V, C, X, Y;
        public bool PerRow, Accumulate;
    }

    private struct CombineBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public Terms Terms;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            Terms t = Terms;
            for (long k = start; k < end; k++)
            {
                float* v = t.V == null ? null : t.V + k * t.VStride, x = t.X + k * t.Columns, y = t.Y + k * t.YStride;
                float perRow = t.PerRow ? t.C[k] : 0;
                float* perColumn = t.PerRow ? null : t.C;
                long j = 0;
                for (; j + TVector.Count <= t.Columns; j += TVector.Count) Step<TVector>(t, perRow, perColumn, v, x, y, j);
                for (; j < t.Columns; j++) Step<V1>(t, perRow, perColumn, v, x, y, j);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Step<T>(in Terms t, float perRow, float* perColumn, float* v, float* x, float* y, long j)
            where T : unmanaged, ISimd<T>
        {
            T sum = v == null ? T.Set(0) : T.Load(t.U + j) * T.Load(v + j);
            if (t.C != null) sum = T.MultiplyAdd(-(perColumn == null ? T.Set(perRow) : T.Load(perColumn + j)), T.Load(x + j), sum);
            if (t.Accumulate) sum = T.Load(y + j) + sum;
            T.Store(sum, y + j);
        }
    }
}
