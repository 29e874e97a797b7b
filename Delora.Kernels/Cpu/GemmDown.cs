using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Delora.Kernels;

/// <summary>
/// The thin product H = A·P of a low-rank branch. P is packed, for each block of K, in whole panels of Nr columns and, for what is left, in
/// narrow ones of 8, which waste no part of a vector. It is computed from the packed rows of A that the tiles of C use, or, where those do not
/// see all of A, on its own: with the same bits.
/// </summary>
internal unsafe struct GemmDown<TKernel> : IWorkerRangeBody
    where TKernel : struct, IMicroKernel
{
    public GemmProblem P;
    public int MTiles;
    public float* Scratch;
    public float* Down;

    private readonly bool Filtered => P.FilterTarget == GemmFilterTarget.Left;

    private readonly long PackedFloats => Gemm.RoundUp((long)GemmTiles<TKernel>.TileRows(P.M, MTiles) * Gemm.BlockOfK(P.K), 16);

    /// <summary>Sets the tiles and the parts of the workspace; returns how many floats it must have.</summary>
    public long LayOut(int teamSize, float* workspace)
    {
        int panels = (P.M + TKernel.Mr - 1) / TKernel.Mr;
        MTiles = Math.Clamp(panels / 2, 1, Math.Max((panels * TKernel.Mr + TKernel.Mc - 1) / TKernel.Mc, teamSize > 1 ? 4 * teamSize : 1));
        Scratch = workspace;
        Down = workspace + ScratchFloats * teamSize;
        return checked(ScratchFloats * teamSize + Width(P.Rank) * P.K);
    }

    private readonly long ScratchFloats => PackedFloats * (Filtered ? 2 : 1);

    /// <summary>Packs P and computes H.</summary>
    public void Run(WorkerTeam team)
    {
        Pack(team, P, Down);
        team.ForWorkers(MTiles, 1, ref this);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run(long start, long end, long chunk, int worker)
    {
        float* scratch = Scratch + worker * ScratchFloats, raw = scratch + PackedFloats;
        int kc = Gemm.BlockOfK(P.K);
        for (int i = (int)start; i < (int)end; i++)
        {
            int i0 = GemmTiles<TKernel>.FirstRow(P.M, MTiles, i), rows = GemmTiles<TKernel>.FirstRow(P.M, MTiles, i + 1) - i0;
            int thin = GemmPacking.ThinPanels<TKernel>(rows);
            for (int k0 = 0; k0 < P.K; k0 += kc)
            {
                int kb = Math.Min(kc, P.K - k0);
                float* a = P.A + i0 * P.ARow + k0 * P.ACol;
                GemmTiles<TKernel>.PackLeft(P, a, i0, k0, rows, thin, kb, scratch, raw, Filtered);
                Macro(P, i0, rows, thin, k0, kb, scratch, Down);
            }
        }
    }

    /// <summary>H (+)= A·P for a packed block of A from row <paramref name="i0"/> and step <paramref name="k0"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Macro(in GemmProblem p, int i0, int rows, int thin, int k0, int k, float* a, float* down)
    {
        bool accumulate = k0 > 0;
        float* h = p.H + i0 * p.HRow;
        down += Width(p.Rank) * k0;
        int mr = TKernel.Mr, nr = TKernel.Nr, whole = WholeColumns(p.Rank), full = GemmPacking.FullRows<TKernel>(rows, thin);
        GemmTiles<TKernel>.Macro(
            rows, Math.Min(whole, p.Rank), k, a, thin, down, (nint)nr * k, nr, h, p.HRow, null, accumulate);
        float* edge = stackalloc float[mr * 8];
        down += (nint)whole * k;
        for (int j = whole; j < p.Rank; j += 8, down += (nint)TKernel.NarrowWidth * k)
        {
            int nb = Math.Min(8, p.Rank - j);
            for (int i = 0, height; i < rows; i += height)
            {
                height = i < full ? mr : TKernel.ThinRows;
                int mb = Math.Min(height, rows - i);
                bool fits = mb == height && nb == 8;
                float* ap = a + (nint)i * k, hp = h + i * p.HRow + j, to = fits ? hp : edge;
                nint stride = fits ? p.HRow : 8;
                if (height == mr)
                    TKernel.MultiplyNarrow(k, ap, down, to, stride, accumulate && fits);
                else
                    TKernel.MultiplyNarrowThin(k, ap, down, to, stride, accumulate && fits);
                if (!fits)
                    GemmTiles<TKernel>.StoreEdge(edge, 8, mb, nb, hp, p.HRow, null, accumulate);
            }
        }
    }

    /// <summary>Columns of a thin right operand [k, rank] that go into panels of Nr; what is left goes into narrow ones.</summary>
    public static int WholeColumns(int rank) =>
        rank % TKernel.Nr > TKernel.Nr - 8 ? (int)Gemm.RoundUp(rank, TKernel.Nr) : rank / TKernel.Nr * TKernel.Nr;

    /// <summary>Floats for each step of a packed thin right operand.</summary>
    public static long Width(int rank)
    {
        int whole = WholeColumns(rank);
        return whole + Gemm.RoundUp(Math.Max(0, rank - whole), 8) / 8 * TKernel.NarrowWidth;
    }

    /// <summary>Packs a thin right operand [k, rank]: for each block of K whole panels, then narrow ones.</summary>
    public static void Pack(WorkerTeam team, in GemmProblem p, float* dst)
    {
        PackingBody body = new() { P = p, Destination = dst };
        long steps = Gemm.BlockOfK(p.K), blocks = (p.K + steps - 1) / steps;
        team.For(blocks, Math.Max(1, 65536 / (steps * Width(p.Rank))), ref body);
    }

    /// <summary>Packs 8 columns, and repeats each number as often as the kernel wants it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackNarrow(float* src, nint stride, nint kStride, int count, int k, float* dst)
    {
        const int Steps = 32;
        float* eight = stackalloc float[Steps * 8];
        for (int k0 = 0; k0 < k; k0 += Steps)
        {
            int kb = Math.Min(Steps, k - k0);
            if (kStride == 1)
                MicroKernel128.PackTransposed(src + k0, stride, count, kb, eight, 8);
            else
                GemmPacking.PackAny(src + k0 * kStride, stride, kStride, count, kb, eight, 8);
            for (int i = 0; i < kb * 8; i += 8, dst += TKernel.NarrowWidth)
            {
                Vector256<float> v = Vector256.Load(eight + i);
                if (TKernel.NarrowWidth == 8)
                {
                    v.Store(dst);
                    continue;
                }
                Vector512<float> twice = Vector512.Create(v, v);
                Vector512.Shuffle(twice, Vector512.Create(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7)).Store(dst);
            }
        }
    }

    private struct PackingBody : IRangeBody
    {
        public GemmProblem P;
        public float* Destination;

        public readonly void Run(long start, long end, long chunk)
        {
            int kc = Gemm.BlockOfK(P.K), whole = WholeColumns(P.Rank);
            long width = Width(P.Rank);
            for (long block = start; block < end; block++)
            {
                int k0 = (int)block * kc, kb = Math.Min(kc, P.K - k0);
                float* src = P.P + k0 * P.PRow, dst = Destination + width * k0;
                GemmPacking.PackRightBlock<TKernel>(src, P.PRow, P.PCol, kb, Math.Min(whole, P.Rank), dst);
                dst += (nint)whole * kb;
                for (int j = whole; j < P.Rank; j += 8, dst += (nint)TKernel.NarrowWidth * kb)
                    PackNarrow(src + j * P.PCol, P.PCol, P.PRow, Math.Min(8, P.Rank - j), kb, dst);
            }
        }
    }
}
