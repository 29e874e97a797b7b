namespace Delora.Kernels;

/// <summary>Chooses how a product is cut up, lays out its workspace and runs its phases.</summary>
internal static unsafe partial class GemmDriver<TKernel>
    where TKernel : struct, IMicroKernel
{
    private const int DirectRows = 64;
    private const int DirectColumns = 256;
    private const long SharedFloats = 4 << 20;
    private const double SerialFlops = 2e5;

    /// <summary>Largest rank whose steps end the sums of the base product; a larger one pays for another visit to C.</summary>
    private const int JoinedRank = 128;

    /// <summary>Ways to compute. The choice changes bits, so it depends on the shape alone; tile sizes may follow the team.</summary>
    private enum Route
    {
        /// <summary>Panels of A and B, tiles of C.</summary>
        Tiles,

        /// <summary>Few rows over a row-major B, which is read where it lies.</summary>
        Direct,

        /// <summary>Direct on Cᵀ = Bᵀ·Aᵀ: few columns, and an A whose columns are contiguous.</summary>
        DirectTransposed,
    }

    public static long WorkspaceBytes(in GemmProblem p, SimdLevel level, int teamSize)
    {
        Gemm.Check(p, level);
        long floats = 0;
        if (p.M > 0 && p.Batch > 0 && p.K > 0)
        {
            if (p.Rank > 0 && !FusesH(p, teamSize))
                floats = new GemmDown<TKernel> { P = p }.LayOut(teamSize, null);
            if (p.N > 0)
                floats = Math.Max(floats, MainFloats(p, teamSize));
        }
        return checked(floats * sizeof(float));
    }

    public static void Run(WorkerTeam team, SimdLevel level, in GemmProblem p, float* workspace)
    {
        Gemm.Check(p, level);
        if (p.M == 0 || p.Batch == 0)
            return;
        if (p.K == 0)
        {
            RunWithoutSteps(team, p);
            return;
        }
        if (p.Rank > 0 && !FusesH(p, team.Size))
        {
            GemmDown<TKernel> down = new() { P = p };
            down.LayOut(team.Size, workspace);
            down.Run(team);
        }
        if (p.N == 0)
            return;
        Route route = RouteOf(p);
        int splits = SplitsOf(p);
        if (splits == 1 && route != Route.DirectTransposed)
        {
            if (route == Route.Tiles)
                RunTiles(team, p, workspace);
            else
                RunDirect(team, p, workspace);
            return;
        }
        long partialFloats = Gemm.RoundUp((long)splits * p.M * p.N, 16);
        GemmProblem parts = Parts(p, route, splits, workspace);
        if (route == Route.Tiles)
            RunTiles(team, parts, workspace + partialFloats);
        else
            RunDirect(team, parts, workspace + partialFloats);
        GemmReduction reduction = new()
        {
            P = p,
            Partials = workspace,
            Splits = parts.Batch,
            Transposed = route == Route.DirectTransposed,
        };
        team.For(p.M, Math.Max(1, 16384 / ((long)p.N * splits)), ref reduction);
    }

    /// <summary>With no inner dimension H is 0, and C its base.</summary>
    private static void RunWithoutSteps(WorkerTeam team, in GemmProblem p)
    {
        if (p.Rank > 0)
            for (int i = 0; i < p.M; i++)
                new Span<float>(p.H + i * p.HRow, p.Rank).Clear();
        if (p.N == 0)
            return;
        GemmBase body = new() { P = p };
        team.For((long)p.Batch * p.M, Math.Max(1, 32768 / p.N), ref body);
    }

    private static Route RouteOf(in GemmProblem p)
    {
        if (p.HasPanels || p.Rank > 0 || p.FilterTarget == GemmFilterTarget.Left)
            return Route.Tiles;
        if (p.FilterTarget == GemmFilterTarget.Right || (p.BCol == 1 && p.M <= DirectRows))
            return Route.Direct;
        return p.ARow == 1 && p.N <= DirectRows && p.Batch == 1 ? Route.DirectTransposed : Route.Tiles;
    }

    /// <summary>Partial sums over K for a small result with a long inner dimension, which would otherwise keep few threads busy.</summary>
    private static int SplitsOf(in GemmProblem p)
    {
        bool possible = p.Batch == 1 && p.Rank == 0 && !p.HasPanels && p.FilterTarget != GemmFilterTarget.Left;
        return possible && p.K >= 2048 && (long)p.M * p.N <= 32768 ? Math.Min(16, p.K / 1024) : 1;
    }

    /// <summary>The partial products as a batch: element s sums its own range of K.</summary>
    private static GemmProblem Parts(in GemmProblem p, Route route, int splits, float* partials)
    {
        GemmProblem parts = p;
        if (route == Route.DirectTransposed)
        {
            (parts.M, parts.N) = (p.N, p.M);
            parts.A = p.B;
            (parts.ARow, parts.ACol) = (p.BCol, p.BRow);
            parts.B = p.A;
            (parts.BRow, parts.BCol) = (p.ACol, p.ARow);
        }
        parts.WholeK = p.K;
        parts.K = (int)Gemm.RoundUp((p.K + splits - 1) / splits, 4);
        parts.Batch = (p.K + parts.K - 1) / parts.K;
        parts.ABatch = parts.K * parts.ACol;
        parts.BBatch = parts.K * parts.BRow;
        parts.C = partials;
        parts.CRow = parts.N;
        parts.CBatch = (nint)parts.M * parts.N;
        parts.Bias = null;
        parts.Accumulate = false;
        parts.Finish = null;
        return parts;
    }

    /// <summary>Whether H comes out of the tiles of C: each row of tiles must be one tile, and see the A that the branch sees.</summary>
    private static bool FusesH(in GemmProblem p, int teamSize) =>
        p.FilterTarget != GemmFilterTarget.Left && p.N > 0 && TileSizes(p, teamSize).NTiles == 1;

    private static long MainFloats(in GemmProblem p, int teamSize)
    {
        Route route = RouteOf(p);
        int splits = SplitsOf(p);
        if (splits == 1 && route != Route.DirectTransposed)
            return route == Route.Tiles ? LayOutTiles(p, teamSize, null, out _) : LayOutDirect(p, teamSize, out _);
        GemmProblem parts = Parts(p, route, splits, null);
        long rest = route == Route.Tiles ? LayOutTiles(parts, teamSize, null, out _) : LayOutDirect(parts, teamSize, out _);
        return Gemm.RoundUp((long)splits * p.M * p.N, 16) + rest;
    }

    private static long LayOutTiles(in GemmProblem p, int teamSize, float* workspace, out GemmTiles<TKernel> tiles)
    {
        (int mTiles, int nTile, _) = TileSizes(p, teamSize);
        bool joins = p.Rank is > 0 and <= JoinedRank && p.FilterTarget != GemmFilterTarget.LowRank;
        int kc = Gemm.BlockOfK(p.K);
        bool privateRight = PacksPrivately(p), fusesH = p.Rank > 0 && FusesH(p, teamSize);
        int mTile = GemmTiles<TKernel>.TileRows(p.M, mTiles);
        long branch = Gemm.RoundUp((long)mTile * Math.Max(kc, Gemm.BlockOfK(p.Rank)), 16);
        long left = branch + (joins ? Gemm.RoundUp((long)mTile * p.Rank, 16) : 0);
        long raw = p.FilterTarget switch
        {
            GemmFilterTarget.Left when p.Rank == 0 => Gemm.RoundUp((long)mTile * kc, 16),
            GemmFilterTarget.LowRank => (long)mTile * GemmTiles<TKernel>.FilteredColumns,
            _ => 0,
        };
        long right = privateRight ? (long)nTile * kc : 0;
        if (p.Stored.Data != null)
            right = (long)GemmTiles<TKernel>.PanelColumns(p.Stored, nTile) * kc + StoredPanels.TileFloats;
        long scratch = left + raw + right;
        long q = p.Rank > 0 ? Gemm.RoundUp(p.N, TKernel.Nr) * p.Rank : 0;
        long down = fusesH ? GemmDown<TKernel>.Width(p.Rank) * p.K : 0;
        int strip = p.N, group = p.Batch;
        long shared = 0;
        if (!privateRight && !p.HasPanels)
        {
            // B is packed in pieces that bound the workspace: several elements of a batch, or a strip of one.
            long element = checked(Gemm.RoundUp(p.N, TKernel.Nr) * p.K);
            group = (int)Math.Clamp(SharedFloats / element, 1, p.Batch);
            if (element > SharedFloats)
                strip = (int)Math.Clamp(SharedFloats / p.K / nTile * nTile, nTile, Gemm.RoundUp(p.N, nTile));
            strip = Math.Min(strip, p.N);
            shared = checked(group * Gemm.RoundUp(strip, TKernel.Nr) * p.K);
        }
        float* at = workspace;
        tiles = new() { P = p, Kc = kc, MTiles = mTiles, NTile = nTile, PrivateRight = privateRight, FusesH = fusesH, JoinsBranch = joins };
        tiles.Strip = strip;
        tiles.Group = group;
        tiles.Scratch = at;
        tiles.ScratchStride = (nint)scratch;
        tiles.BranchOffset = (nint)branch;
        tiles.RawOffset = (nint)left;
        tiles.RightOffset = (nint)(left + raw);
        tiles.Q = at + scratch * teamSize;
        tiles.Down = tiles.Q + q;
        tiles.Right = p.Packed.Data != null ? p.Packed.Data : tiles.Down + down;
        return checked(scratch * teamSize + q + down + shared);
    }

    private static void RunTiles(WorkerTeam team, in GemmProblem p, float* workspace)
    {
        LayOutTiles(p, team.Size, workspace, out GemmTiles<TKernel> tiles);
        bool parallel = Flops(p) > SerialFlops;
        if (p.Rank > 0)
        {
            GemmPacking.PackRight<TKernel>(team, p.Q, p.QRow, p.QCol, 0, p.Rank, p.N, 1, tiles.Q, parallel);
            if (tiles.FusesH)
                GemmDown<TKernel>.Pack(team, p, tiles.Down);
        }
        bool shared = !tiles.PrivateRight && !p.HasPanels;
        for (int e = 0; e < p.Batch; e += tiles.Group)
            for (int n = 0; n < p.N; n += tiles.Strip)
            {
                tiles.FirstElement = e;
                tiles.FirstColumn = n;
                tiles.Columns = Math.Min(tiles.Strip, p.N - n);
                int elements = Math.Min(tiles.Group, p.Batch - e);
                if (shared)
                {
                    float* b = p.B + e * p.BBatch + n * p.BCol;
                    GemmPacking.PackRight<TKernel>(team, b, p.BRow, p.BCol, p.BBatch, p.K, tiles.Columns, elements, tiles.Right, parallel);
                }
                long count = tiles.MTiles * Count(tiles.Columns, tiles.NTile) * elements;
                double each = 2.0 * p.M / tiles.MTiles * Math.Min(p.N, tiles.NTile) * p.K;
                team.ForWorkers(count, parallel ? Math.Max(1, (long)(SerialFlops / 2 / each)) : count, ref tiles);
            }
    }

    private static long LayOutDirect(in GemmProblem p, int teamSize, out GemmDirect<TKernel> direct)
    {
        int nTile = Even(p.N, DirectColumns, TKernel.Nr);
        if (Flops(p) > SerialFlops)
            while (teamSize > 1 && Count(p.N, nTile) * p.Batch < 4L * teamSize && nTile > 2 * TKernel.Nr)
                nTile = Even(p.N, nTile / 2, TKernel.Nr);
        direct = new() { P = p, NTile = nTile, FullRows = GemmDirect<TKernel>.CoverRows(p.M) };
        return checked(direct.ScratchFloats * teamSize);
    }

    private static void RunDirect(WorkerTeam team, in GemmProblem p, float* workspace)
    {
        LayOutDirect(p, team.Size, out GemmDirect<TKernel> direct);
        direct.Scratch = workspace;
        long count = Count(p.N, direct.NTile) * p.Batch;
        double each = 2.0 * p.M * Math.Min(p.N, direct.NTile) * p.K;
        long grain = Flops(p) > SerialFlops ? Math.Max(1, (long)(SerialFlops / 2 / each)) : count;
        team.ForWorkers(count, grain, ref direct);
    }
}
