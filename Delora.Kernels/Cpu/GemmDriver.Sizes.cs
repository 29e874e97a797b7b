using System.Numerics;

namespace Delora.Kernels;

/// <summary>How C is cut into tiles.</summary>
internal static unsafe partial class GemmDriver<TKernel>
{
    /// <summary>Columns of a tile over a block of K of <see cref="Gemm.MaxBlockOfK"/> steps.</summary>
    private const int BlockOfN = 768;

    private const int PrivateBlockOfN = 256;

    /// <summary>
    /// Widest C whose rows are one tile where there is a low-rank branch, which then shares the packed rows of A. Wider tiles of C were slower
    /// than a second pass over A.
    /// </summary>
    private const int WideBranch = BlockOfN + 256;

    private static double Flops(in GemmProblem p) => 2.0 * p.M * p.N * p.K * p.Batch;

    private static (int MTiles, int NTile, int NTiles) TileSizes(in GemmProblem p, int teamSize)
    {
        int mr = TKernel.Mr, nr = TKernel.Nr;
        bool privateRight = PacksPrivately(p), stored = p.Stored.Data != null;
        // Stored panels are read once for each tile: few and tall ones repay it.
        int tallest = stored ? 2 * TKernel.Mc : TKernel.Mc;
        long panels = Count(p.M, mr), m = Count(panels, tallest / mr);
        // A low-rank branch comes cheapest from tiles as wide as C.
        int widest = privateRight ? PrivateBlockOfN : p.Rank > 0 && p.N <= WideBranch ? p.N : WidestTile(p.K);
        int n = Even(p.N, widest, nr);
        if (teamSize > 1 && Flops(p) > SerialFlops)
        {
            long wanted = (stored ? 2L : 4L) * teamSize;
            while (m * Count(p.N, n) * p.Batch < wanted)
            {
                long each = Count(panels, m);
                bool wide = p.Rank > 0 && Count(p.N, n) == 1 && m >= 2L * teamSize;
                if (each > tallest / mr / 2 && !privateRight && (!stored || wide || n <= PrivateBlockOfN))
                    m *= 2;
                else if (n > PrivateBlockOfN && !wide)
                    n = Even(p.N, n / 2, nr);
                else if (each > 4 && !privateRight)
                    m *= 2;
                else if (n > 4 * nr && !wide)
                    n = Even(p.N, n / 2, nr);
                else
                    break;
            }
        }
        return ((int)Even(m, Count(p.N, n) * p.Batch, panels, teamSize), n, (int)Count(p.N, n));
    }

    /// <summary>
    /// Rows of tiles, so many that members that are equally fast end together: of 15 equal tiles two members would take 8 and 7. With many tiles
    /// it doesn't matter.
    /// </summary>
    private static long Even(long rows, long columns, long panels, int teamSize)
    {
        long step = teamSize / (long)BigInteger.GreatestCommonDivisor(teamSize, columns), even = Gemm.RoundUp(rows, step);
        return rows * columns < 16L * teamSize && 4 * even <= panels ? even : rows;
    }

    /// <summary>A block of B takes the same part of the cache whatever its height.</summary>
    private static int WidestTile(int k) => (int)Math.Min(4 * BlockOfN, (long)BlockOfN * Gemm.MaxBlockOfK / Gemm.BlockOfK(k));

    private static bool PacksPrivately(in GemmProblem p) => !p.HasPanels && (p.M <= TKernel.Mc || p.WholeK > 0);

    private static long Count(long size, long tile) => (size + tile - 1) / tile;

    /// <summary>The size of equal tiles of at most <paramref name="largest"/>, in whole register tiles.</summary>
    private static int Even(int size, int largest, int step)
    {
        long tiles = Count(size, Math.Max(step, largest));
        return (int)Gemm.RoundUp((size + tiles - 1) / tiles, step);
    }
}
