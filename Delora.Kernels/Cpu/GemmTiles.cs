using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Delora.Kernels;

/// <summary>The tiles of C that <see cref="GemmDriver{TKernel}"/> hands out, with all that a member needs to compute one.</summary>
internal unsafe partial struct GemmTiles<TKernel> : IWorkerRangeBody
    where TKernel : struct, IMicroKernel
{
    /// <summary>Columns of a filtered branch that are computed at a time, aside; a multiple of every Nr.</summary>
    internal const int FilteredColumns = 64;

    public GemmProblem P;
    public int Kc;
    public int MTiles;
    public int NTile;
    public int Strip;
    public int Group;
    public int FirstElement;
    public int FirstColumn;
    public int Columns;
    public bool PrivateRight;
    public bool FusesH;
    public bool JoinsBranch;
    public float* Scratch;
    public nint ScratchStride;
    public nint BranchOffset;
    public nint RawOffset;
    public nint RightOffset;
    public float* Right;
    public float* Down;
    public float* Q;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run(long start, long end, long chunk, int worker)
    {
        int nTiles = (Columns + NTile - 1) / NTile;
        for (long t = start; t < end; t++)
        {
            int i = (int)(t % MTiles);
            long rest = t / MTiles;
            int j = (int)(rest % nTiles);
            Tile((int)(rest / nTiles), FirstRow(P.M, MTiles, i), FirstRow(P.M, MTiles, i + 1), j * NTile, Scratch + worker * ScratchStride);
        }
    }

    /// <summary>
    /// A panel of B stays near while the packed rows of A, in L2, pass it. A branch's steps, when there are any, end each register tile's sum.
    /// </summary>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="k">Steps.</param>
    /// <param name="a">Packed rows.</param>
    /// <param name="thin">How many of the panels of A are thin: the last ones.</param>
    /// <param name="b">First panel of B.</param>
    /// <param name="bPanel">Floats between its panels.</param>
    /// <param name="ldb">Floats between rows of a panel.</param>
    /// <param name="c">Block of C.</param>
    /// <param name="ldc">Floats between its rows.</param>
    /// <param name="bias">A bias for each column, or null.</param>
    /// <param name="accumulate">Whether C is the base.</param>
    /// <param name="k2">Steps of the branch.</param>
    /// <param name="a2">Its packed rows.</param>
    /// <param name="b2">Its panels.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Macro(
        int rows, int columns, int k, float* a, int thin, float* b, nint bPanel, nint ldb, float* c, nint ldc, float* bias,
        bool accumulate, int k2 = 0, float* a2 = null, float* b2 = null)
    {
        int mr = TKernel.Mr, nr = TKernel.Nr, full = GemmPacking.FullRows<TKernel>(rows, thin);
        float* edge = stackalloc float[mr * nr];
        for (int j = 0; j < columns; j += nr, b += bPanel, b2 += (nint)nr * k2)
        {
            int nb = Math.Min(nr, columns - j);
            float* ap = a, a2p = a2;
            for (int i = 0, height; i < rows; i += height, ap += (nint)height * k, a2p += (nint)height * k2)
            {
                height = i < full ? mr : TKernel.ThinRows;
                int mb = Math.Min(height, rows - i);
                bool whole = mb == height && nb == nr;
                float* cp = c + i * ldc + j, base0 = bias == null ? null : bias + j;
                float* to = whole ? cp : edge, from = whole ? base0 : null;
                nint stride = whole ? ldc : nr;
                // The first four register tiles each pull a quarter of the next panel of B nearer.
                if (height == mr)
                    TKernel.Multiply(
                        k, ap, b, ldb, to, stride, from, accumulate && whole, i < 4 * mr ? b + bPanel + i / mr * (bPanel >> 2) : ap + (nint)mr * k,
                        k2, a2p, b2);
                else
                    TKernel.MultiplyThin(
                        k, ap, b, ldb, to, stride, from, accumulate && whole, i == full && full < 4 * mr ? bPanel : 0, k2, a2p, b2);
                if (!whole)
                    StoreEdge(edge, nr, mb, nb, cp, ldc, base0, accumulate);
            }
        }
    }

    /// <summary>C = base + the rows and columns of a register tile that exist.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void StoreEdge(float* sum, int width, int rows, int columns, float* c, nint ldc, float* bias, bool accumulate)
    {
        for (int i = 0; i < rows; i++, c += ldc, sum += width)
        {
            float* from = accumulate ? c : bias;
            int j = 0;
            for (; j <= columns - 8; j += 8)
            {
                Vector256<float> value = Vector256.Load(sum + j);
                (from == null ? value : Vector256.Load(from + j) + value).Store(c + j);
            }
            for (; j < columns; j++)
                c[j] = from == null ? sum[j] : from[j] + sum[j];
        }
    }

    internal static void AddBias(float* c, nint ldc, float* bias, int rows, int columns)
    {
        for (int i = 0; i < rows; i++, c += ldc)
            TensorPrimitives.Add(new ReadOnlySpan<float>(c, columns), new ReadOnlySpan<float>(bias, columns), new Span<float>(c, columns));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Tile(int element, int i0, int end, int column, float* scratch)
    {
        int mr = TKernel.Mr, nr = TKernel.Nr;
        long e = FirstElement + element;
        int j0 = FirstColumn + column, rows = end - i0, columns = Math.Min(NTile, Columns - column), k = P.KOf(e);
        float* c = P.C + (nint)e * P.CBatch + i0 * P.CRow + j0;
        float* a = P.A + (nint)e * P.ABatch + i0 * P.ARow;
        float* bias = P.Bias == null ? null : P.Bias + j0;
        bool accumulate = P.Accumulate;
        if (accumulate && bias != null)
            AddBias(c, P.CRow, bias, rows, columns);
        bool prepared = P.HasPanels, few = prepared && rows <= TKernel.FewRows;
        // Where nobody else needs packed rows of A, few are read where they lie.
        bool inPlace = few && !FusesH && P.FilterTarget != GemmFilterTarget.Left;
        int thin = few ? 0 : GemmPacking.ThinPanels<TKernel>(rows);
        long padded = Gemm.RoundUp(prepared ? P.N : Columns, nr);
        for (int k0 = 0; k0 < k; k0 += Kc)
        {
            int kb = Math.Min(Kc, k - k0);
            if (!inPlace)
                PackLeft(P, a + k0 * P.ACol, i0, k0, rows, thin, kb, scratch, scratch + RawOffset, P.FilterTarget == GemmFilterTarget.Left && P.Rank == 0);
            float* b = null;
            if (P.Stored.Data != null)
            {
                // Read panel by panel.
            }
            else if (PrivateRight)
            {
                b = scratch + RightOffset;
                GemmPacking.PackRightBlock<TKernel>(
                    P.B + (nint)e * P.BBatch + k0 * P.BRow + j0 * P.BCol, P.BRow, P.BCol, kb, columns, b);
            }
            else
            {
                long first = prepared ? (long)k0 * padded : ((long)element * P.K + k0) * padded;
                b = Right + first + (long)(prepared ? j0 : column) * kb;
            }
            if (FusesH)
                GemmDown<TKernel>.Macro(P, i0, rows, thin, k0, kb, scratch, Down);
            int k2 = 0;
            if (JoinsBranch && k0 + kb == k)
            {
                k2 = P.Rank;
                GemmPacking.PackLeft<TKernel>(P.H + i0 * P.HRow, P.HRow, 1, rows, thin, k2, scratch + BranchOffset);
            }
            float* q = Q + (long)j0 * k2, branch = scratch + BranchOffset, panel = scratch + RightOffset;
            if (few)
                Few(
                    rows, columns, k0, kb, inPlace ? a + k0 * P.ACol : scratch, inPlace ? P.ARow : 1, inPlace ? P.ACol : mr, b, j0, c, bias,
                    accumulate, k2, branch, q, panel);
            else if (b == null)
                MacroStored(rows, columns, k0, kb, scratch, thin, j0, c, bias, accumulate, k2, branch, q, panel);
            else
                Macro(rows, columns, kb, scratch, thin, b, (nint)nr * kb, nr, c, P.CRow, bias, accumulate, k2, branch, q);
            accumulate = true;
        }
        if (P.Rank > 0 && !JoinsBranch)
            Branch(i0, rows, j0, columns, c, scratch);
        P.Complete(c, rows, columns);
    }

    /// <summary>
    /// The first row of tile <paramref name="i"/> of <paramref name="tiles"/>, all of which have as many rows but for half a thin panel: such numbers of rows
    /// are covered by panels of both heights without padding.
    /// </summary>
    internal static int FirstRow(int m, int tiles, int i) => (int)Math.Min(m, Granules(m) * i / tiles * Granule);

    /// <summary>Most rows of a tile with their padding, and room for one panel at least.</summary>
    internal static int TileRows(int m, long tiles) => (int)Math.Max(TKernel.Mr, (Granules(m) + tiles - 1) / tiles * Granule);

    private static int Granule => TKernel.ThinRows / 2;

    private static long Granules(int m) => ((long)m + Granule - 1) / Granule;

    /// <summary>The steps of a branch that has too many of them to end each sum, or is filtered: C += H·Q.</summary>
    private readonly void Branch(int i0, int rows, int j0, int columns, float* c, float* scratch)
    {
        int nr = TKernel.Nr, kc = Gemm.BlockOfK(P.Rank), thin = GemmPacking.ThinPanels<TKernel>(rows);
        long padded = Gemm.RoundUp(P.N, nr);
        bool filtered = P.FilterTarget == GemmFilterTarget.LowRank;
        int width = filtered ? FilteredColumns : columns;
        for (int k0 = 0; k0 < P.Rank; k0 += kc)
        {
            int kb = Math.Min(kc, P.Rank - k0);
            GemmPacking.PackLeft<TKernel>(P.H + i0 * P.HRow + k0, P.HRow, 1, rows, thin, kb, scratch);
            for (int j = 0; j < columns; j += width)
            {
                int part = Math.Min(width, columns - j);
                float* b = Q + k0 * padded + (long)(j0 + j) * kb;
                float* target = filtered ? scratch + RawOffset : c;
                nint stride = filtered ? FilteredColumns : P.CRow;
                Macro(rows, part, kb, scratch, thin, b, (nint)nr * kb, nr, target, stride, null, !filtered);
                if (!filtered)
                    continue;
                P.Filter(P.FilterState, target, stride, i0, j0 + j, rows, part);
                for (int i = 0; i < rows; i++)
                {
                    Span<float> sum = new(c + i * P.CRow + j, part);
                    TensorPrimitives.Add(sum, new ReadOnlySpan<float>(target + i * stride, part), sum);
                }
            }
        }
    }

    /// <summary>Packs a block of A; with a filter, a copy of it at <paramref name="raw"/> that the filter has seen.</summary>
    internal static void PackLeft(in GemmProblem p, float* a, int i0, int k0, int rows, int thin, int kb, float* packed, float* raw, bool filtered)
    {
        if (!filtered)
        {
            GemmPacking.PackLeft<TKernel>(a, p.ARow, p.ACol, rows, thin, kb, packed);
            return;
        }
        for (int i = 0; i < rows; i++)
        {
            float* s = a + i * p.ARow, d = raw + (nint)i * kb;
            if (p.ACol == 1)
                new ReadOnlySpan<float>(s, kb).CopyTo(new Span<float>(d, kb));
            else
                for (int k = 0; k < kb; k++)
                    d[k] = s[k * p.ACol];
        }
        p.Filter(p.FilterState, raw, kb, i0, k0, rows, kb);
        GemmPacking.PackLeft<TKernel>(raw, kb, 1, rows, thin, kb, packed);
    }
}
