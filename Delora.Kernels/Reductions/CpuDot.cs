using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>What column sums do to the first factor: for each row an operation.</summary>
internal interface ICpuRowMap<TRow> where TRow : struct, ICpuRowOp
{
    /// <summary>The operation of row <paramref name="row"/>.</summary>
    TRow At(long row);
}

/// <summary>What column sums do to the elements of one row of the first factor.</summary>
internal interface ICpuRowOp
{
    Vector256<double> Apply(Vector256<double> x);

    double Apply(double x);
}

/// <summary>
/// Sums of products of float32 values, accumulated in float64 in a fixed order. A product of two float32 values is exact in float64 and
/// cannot overflow there, so a sum's error is far below float32's own and no value is too large. The 256-bit vectors serve every vector
/// level: the loops are as fast as memory.
/// </summary>
internal static unsafe class CpuDot
{
    private const int ColumnsPerChunk = 128;

    /// <summary>Σ x_k y_k over two contiguous arrays.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static double Row(float* x, float* y, long count)
    {
        Vector256<double> s0 = default, s1 = default, s2 = default, s3 = default;
        long k = 0;
        for (; k + 16 <= count; k += 16)
        {
            (Vector256<double> x0, Vector256<double> x1) = Vector256.Widen(Vector256.Load(x + k));
            (Vector256<double> y0, Vector256<double> y1) = Vector256.Widen(Vector256.Load(y + k));
            (Vector256<double> x2, Vector256<double> x3) = Vector256.Widen(Vector256.Load(x + k + 8));
            (Vector256<double> y2, Vector256<double> y3) = Vector256.Widen(Vector256.Load(y + k + 8));
            s0 += x0 * y0;
            s1 += x1 * y1;
            s2 += x2 * y2;
            s3 += x3 * y3;
        }
        double sum = Vector256.Sum(s0 + s1 + (s2 + s3));
        for (; k < count; k++) sum += (double)x[k] * y[k];
        return sum;
    }

    /// <summary>
    /// sums_j = Σ_k x[k, j] y[k, j] over all rows k of two matrices, on all threads: blocks of rows, whose length depends on the shape
    /// alone, then the blocks in order.
    /// </summary>
    /// <param name="cpu">Threads, and memory for the blocks' sums.</param>
    /// <param name="x">First element.</param>
    /// <param name="xStride">Floats from one row of x to the next.</param>
    /// <param name="y">First element.</param>
    /// <param name="yStride">Floats from one row of y to the next; 0 for the same row throughout.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns.</param>
    /// <param name="sums">The sums.</param>
    internal static void Columns(
        CpuDevice cpu, float* x, long xStride, float* y, long yStride, long rows, long columns, double* sums) =>
        Columns<Unchanged, Unchanged>(cpu, default, x, xStride, y, yStride, rows, columns, sums);

    /// <summary>sums_j = Σ_k f_k(x[k, j]) y[k, j]: the same with a map of x.</summary>
    internal static void Columns<TMap, TRow>(
        CpuDevice cpu, TMap map, float* x, long xStride, float* y, long yStride, long rows, long columns, double* sums)
        where TMap : struct, ICpuRowMap<TRow> where TRow : struct, ICpuRowOp
    {
        long blockRows = Math.Max(1024, CpuReduce.RowGrain(Math.Min(columns, ColumnsPerChunk)));
        long blocks = Math.Max(1, (rows + blockRows - 1) / blockRows), across = (columns + ColumnsPerChunk - 1) / ColumnsPerChunk;
        using var partials = new HostScratch(cpu, blocks == 1 ? 0 : checked(blocks * columns * sizeof(double)), "column sums");
        var body = new ColumnsBody<TMap, TRow>
        {
            Map = map,
            X = x,
            XStride = xStride,
            Y = y,
            YStride = yStride,
            Rows = rows,
            Columns = columns,
            BlockRows = blockRows,
            Across = across,
            Sums = blocks == 1 ? sums : partials.Doubles,
        };
        cpu.Team.For(blocks * across, 1, ref body);
        if (blocks == 1) return;
        new Span<double>(partials.Doubles, checked((int)columns)).CopyTo(new Span<double>(sums, (int)columns));
        for (long b = 1; b < blocks; b++)
            for (long j = 0; j < columns; j++) sums[j] += partials.Doubles[b * columns + j];
    }

    /// <summary>The same on the calling thread; a few hundred columns keep the sums in the first-level cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Columns<TMap, TRow>(
        TMap map, float* x, long xStride, float* y, long yStride, long firstRow, long rows, long columns, double* sums)
        where TMap : struct, ICpuRowMap<TRow> where TRow : struct, ICpuRowOp
    {
        new Span<double>(sums, (int)columns).Clear();
        long k = firstRow, end = firstRow + rows;
        // Four rows for each pass over the sums; every sum still takes its rows in order.
        for (; k + 4 <= end; k += 4, x += 4 * xStride, y += 4 * yStride)
        {
            TRow r0 = map.At(k), r1 = map.At(k + 1), r2 = map.At(k + 2), r3 = map.At(k + 3);
            long j = 0;
            for (; j + 8 <= columns; j += 8)
            {
                Vector256<double> lower = Vector256.Load(sums + j), upper = Vector256.Load(sums + j + 4);
                Add(r0, x + j, y + j, ref lower, ref upper);
                Add(r1, x + xStride + j, y + yStride + j, ref lower, ref upper);
                Add(r2, x + 2 * xStride + j, y + 2 * yStride + j, ref lower, ref upper);
                Add(r3, x + 3 * xStride + j, y + 3 * yStride + j, ref lower, ref upper);
                lower.Store(sums + j);
                upper.Store(sums + j + 4);
            }
            for (; j < columns; j++)
            {
                double sum = sums[j] + r0.Apply(x[j]) * y[j];
                sum += r1.Apply(x[xStride + j]) * y[yStride + j];
                sum += r2.Apply(x[2 * xStride + j]) * y[2 * yStride + j];
                sums[j] = sum + r3.Apply(x[3 * xStride + j]) * y[3 * yStride + j];
            }
        }
        for (; k < end; k++, x += xStride, y += yStride)
        {
            TRow row = map.At(k);
            for (long j = 0; j < columns; j++) sums[j] += row.Apply(x[j]) * y[j];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TRow>(TRow row, float* x, float* y, ref Vector256<double> lower, ref Vector256<double> upper)
        where TRow : struct, ICpuRowOp
    {
        (Vector256<double> x0, Vector256<double> x1) = Vector256.Widen(Vector256.Load(x));
        (Vector256<double> y0, Vector256<double> y1) = Vector256.Widen(Vector256.Load(y));
        lower += row.Apply(x0) * y0;
        upper += row.Apply(x1) * y1;
    }

    private readonly struct Unchanged : ICpuRowMap<Unchanged>, ICpuRowOp
    {
        public Unchanged At(long row) => this;

        public Vector256<double> Apply(Vector256<double> x) => x;

        public double Apply(double x) => x;
    }

    private struct ColumnsBody<TMap, TRow> : IRangeBody where TMap : struct, ICpuRowMap<TRow> where TRow : struct, ICpuRowOp
    {
        public TMap Map;
        public float* X, Y;
        public double* Sums;
        public long XStride, YStride, Rows, Columns, BlockRows, Across;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
            {
                (long block, long column) = Math.DivRem(i, Across);
                column *= ColumnsPerChunk;
                long row = block * BlockRows;
                CpuDot.Columns<TMap, TRow>(
                    Map, X + row * XStride + column, XStride, Y + row * YStride + column, YStride, row, Math.Min(BlockRows, Rows - row),
                    Math.Min(ColumnsPerChunk, Columns - column), Sums + block * Columns + column);
            }
        }
    }
}
