using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="LowRankNormKernel"/>.</summary>
internal static unsafe class CpuLowRankNorm
{
    internal static void Forward(CpuDevice cpu, Tensor foldedA, Tensor foldedB, Tensor norm)
    {
        int rank = foldedA.Shape[0], columns = foldedA.Shape[1], rows = foldedB.Shape[0];
        // B' transposed, so that both Gram matrices are inner products of contiguous rows; then the partial sum of each rank.
        long transposed = checked((long)rank * rows);
        using var scratch = new HostScratch(cpu, checked(rank * (long)sizeof(double) + transposed * sizeof(float)), "LowRankNorm");
        var body = new Body
        {
            A = foldedA.Pointer<float>(),
            Columns = columns,
            Rows = rows,
            Rank = rank,
            Partials = scratch.Doubles,
            TransposedB = (float*)(scratch.Doubles + rank),
        };
        Transpose(foldedB.Pointer<float>(), rows, rank, body.TransposedB);
        cpu.Team.For(rank, CpuReduce.RowGrain((long)rank * (columns + rows)), ref body);
        double sum = 0;
        for (int i = 0; i < rank; i++) sum += body.Partials[i];
        *norm.Pointer<float>() = (float)Math.Sqrt(Math.Max(sum, 0));
    }

    private static void Transpose(float* from, int rows, int columns, float* to)
    {
        for (int j = 0; j < columns; j++)
            for (int i = 0; i < rows; i++) to[(long)j * rows + i] = from[(long)i * columns + j];
    }

    private struct Body : IRangeBody
    {
        public float* A, TransposedB;
        public double* Partials;
        public long Columns, Rows, Rank;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
            {
                // Both matrices are symmetric: the upper triangle, its elements off the diagonal counted twice.
                double sum = 0.5 * Product(i, i);
                for (long j = i + 1; j < Rank; j++) sum += Product(i, j);
                Partials[i] = 2 * sum;
            }
        }

        private readonly double Product(long i, long j) =>
            CpuDot.Row(A + i * Columns, A + j * Columns, Columns) * CpuDot.Row(TransposedB + i * Rows, TransposedB + j * Rows, Rows);
    }
}
