using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Delora.Kernels;

/// <summary>
/// Few rows times a row-major B: packing B would cost as much as the product, so its rows are read where they lie, in blocks of K that
/// stay in L1 while the rows of A pass. Used for the gradients of thin factors, as in dA' = vᵀ·x.
/// </summary>
internal unsafe struct GemmDirect<TKernel> : IWorkerRangeBody
    where TKernel : struct, IMicroKernel
{
    private const int BlockOfK = 32;

    public GemmProblem P;
    public int NTile;

    /// <summary><see cref="CoverRows"/> of M.</summary>
    public int FullRows;

    public float* Scratch;

    /// <summary>Floats of scratch for each member: rows of A packed, then an edge panel or a filtered block of B.</summary>
    public readonly long ScratchFloats =>
        Gemm.RoundUp((long)PaddedRows * BlockOfK, 16)
        + (P.FilterTarget == GemmFilterTarget.Right ? NTile : TKernel.Nr) * BlockOfK;

    /// <summary>Rows in register tiles of full height; the others are in thin ones. Of the ways to cover M, the one with least padding.</summary>
    public static int CoverRows(int m)
    {
        int best = 0, least = int.MaxValue;
        for (int full = 0; full < m + TKernel.Mr; full += TKernel.Mr)
        {
            int rows = full + (int)Gemm.RoundUp(Math.Max(0, m - full), TKernel.ThinRows);
            if (rows < least)
                (best, least) = (full, rows);
        }
        return best;
    }

    private readonly int ThinPanels => (int)Gemm.RoundUp(Math.Max(0, P.M - FullRows), TKernel.ThinRows) / TKernel.ThinRows;

    private readonly int PaddedRows => FullRows + ThinPanels * TKernel.ThinRows;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run(long start, long end, long chunk, int worker)
    {
        int nTiles = (P.N + NTile - 1) / NTile;
        float* scratch = Scratch + worker * ScratchFloats;
        for (long t = start; t < end; t++)
            Tile(t / nTiles, (int)(t % nTiles) * NTile, scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Tile(long element, int j0, float* scratch)
    {
        int nr = TKernel.Nr, k = P.KOf(element), m = P.M;
        int columns = Math.Min(NTile, P.N - j0), wholePanels = columns / nr * nr;
        nint e = (nint)element;
        float* c = P.C + e * P.CBatch + j0;
        float* bias = P.Bias == null ? null : P.Bias + j0;
        bool accumulate = P.Accumulate;
        if (accumulate && bias != null)
            GemmTiles<TKernel>.AddBias(c, P.CRow, bias, m, columns);
        float* other = scratch + Gemm.RoundUp((long)PaddedRows * BlockOfK, 16);
        for (int k0 = 0; k0 < k; k0 += BlockOfK)
        {
            int kb = Math.Min(BlockOfK, k - k0);
            float* a = P.A + e * P.ABatch + k0 * P.ACol;
            GemmPacking.PackLeft<TKernel>(a, P.ARow, P.ACol, m, ThinPanels, kb, scratch);
            float* b = P.B + e * P.BBatch + k0 * P.BRow + j0;
            nint ahead = k0 + BlockOfK < k ? BlockOfK * P.BRow : 0;
            if (P.FilterTarget == GemmFilterTarget.Right)
            {
                for (int p = 0; p < kb; p++)
                    new ReadOnlySpan<float>(b + p * P.BRow, columns).CopyTo(new Span<float>(other + p * NTile, columns));
                P.Filter(P.FilterState, other, NTile, element * P.K + k0, j0, kb, columns);
                // The products of a last panel's padding are not stored, but it must not hold slow denormals.
                for (int p = 0; p < kb; p++)
                    new Span<float>(other + p * NTile + columns, NTile - columns).Clear();
                Rows(columns, kb, scratch, other, NTile, c, bias, accumulate, 0);
            }
            else
            {
                Rows(wholePanels, kb, scratch, b, P.BRow, c, bias, accumulate, ahead);
                if (wholePanels < columns)
                {
                    GemmPacking.PackRightBlock<TKernel>(b + wholePanels, P.BRow, 1, kb, columns - wholePanels, other);
                    float* rest = bias == null ? null : bias + wholePanels;
                    Rows(columns - wholePanels, kb, scratch, other, nr, c + wholePanels, rest, accumulate, 0);
                }
            }
            accumulate = true;
        }
        P.Complete(c, m, columns);
    }

    /// <summary>All rows of C over a block of K: register tiles of full height, then thin ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Rows(int columns, int k, float* a, float* b, nint ldb, float* c, float* bias, bool accumulate, nint ahead)
    {
        int nr = TKernel.Nr, full = FullRows, thin = TKernel.ThinRows;
        GemmTiles<TKernel>.Macro(Math.Min(full, P.M), columns, k, a, 0, b, nr, ldb, c, P.CRow, bias, accumulate);
        float* edge = stackalloc float[thin * nr];
        for (int j = 0; j < columns; j += nr)
            for (int i = full; i < P.M; i += thin)
            {
                int mb = Math.Min(thin, P.M - i), nb = Math.Min(nr, columns - j);
                float* cp = c + i * P.CRow + j, base0 = bias == null ? null : bias + j;
                nint next = i == full ? ahead : 0; // once is enough
                if (mb == thin && nb == nr)
                {
                    TKernel.MultiplyThin(k, a + i * k, b + j, ldb, cp, P.CRow, base0, accumulate, next, 0, null, null);
                    continue;
                }
                TKernel.MultiplyThin(k, a + i * k, b + j, ldb, edge, nr, null, false, next, 0, null, null);
                GemmTiles<TKernel>.StoreEdge(edge, nr, mb, nb, cp, P.CRow, base0, accumulate);
            }
    }
}

/// <summary>A product without steps: C is its base.</summary>
internal unsafe struct GemmBase : IRangeBody
{
    public GemmProblem P;

    public readonly void Run(long start, long end, long chunk)
    {
        for (long row = start; row < end; row++)
        {
            float* c = P.C + (nint)(row / P.M) * P.CBatch + (nint)(row % P.M) * P.CRow;
            Span<float> values = new(c, P.N);
            if (!P.Accumulate)
                values.Clear();
            if (P.Bias != null)
                TensorPrimitives.Add(values, new ReadOnlySpan<float>(P.Bias, P.N), values);
            P.Complete(c, 1, P.N);
        }
    }
}

/// <summary>Adds partial products in their order, and the result to C's base; takes them transposed if need be.</summary>
internal unsafe struct GemmReduction : IRangeBody
{
    private const int Block = 64;

    public GemmProblem P;
    public float* Partials;
    public int Splits;
    public bool Transposed;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run(long start, long end, long chunk)
    {
        if (Transposed)
            Columns((nint)start, (nint)end);
        else
            for (nint i = (nint)start; i < (nint)end; i++)
            {
                float* c = P.C + i * P.CRow;
                if (P.Accumulate && P.Bias != null)
                    GemmTiles<MicroKernel128>.AddBias(c, P.CRow, P.Bias, 1, P.N);
                Add(Partials + i * P.N, P.N, P.Accumulate ? c : P.Bias, c);
                P.Complete(c, 1, P.N);
            }
    }

    /// <summary>A block of rows of C is a block of columns of the partial products.</summary>
    private readonly void Columns(nint start, nint end)
    {
        float* sums = stackalloc float[Block];
        for (nint i = start; i < end; i += Block)
        {
            int rows = (int)Math.Min(Block, end - i);
            for (int j = 0; j < P.N; j++)
            {
                Add(Partials + (nint)j * P.M + i, rows, null, sums);
                float* c = P.C + i * P.CRow + j;
                float bias = P.Bias == null ? 0f : P.Bias[j];
                for (int r = 0; r < rows; r++, c += P.CRow)
                    *c = P.Accumulate ? *c + bias + sums[r] : bias + sums[r];
            }
            P.Complete(P.C + i * P.CRow, rows, P.N);
        }
    }

    private readonly void Add(float* partial, int count, float* from, float* to)
    {
        nint size = (nint)P.M * P.N;
        int j = 0;
        for (; j <= count - 8; j += 8)
        {
            Vector256<float> sum = Vector256.Load(partial + j);
            for (int s = 1; s < Splits; s++)
                sum += Vector256.Load(partial + s * size + j);
            (from == null ? sum : Vector256.Load(from + j) + sum).Store(to + j);
        }
        for (; j < count; j++)
        {
            float sum = partial[j];
            for (int s = 1; s < Splits; s++)
                sum += partial[s * size + j];
            to[j] = from == null ? sum : from[j] + sum;
        }
    }
}
