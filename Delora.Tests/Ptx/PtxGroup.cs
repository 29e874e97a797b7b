namespace Delora.Tests.Ptx;

/// <summary>The threads of a group in x, y, z, and the groups of the grid.</summary>
internal readonly record struct PtxLaunchShape(int X, int Y, int Z, int GridX, int GridY, int GridZ)
{
    internal int Threads => checked(X * Y * Z);
}

/// <summary>A group (CTA) of threads with its shared memory. The same object runs one group after the other.</summary>
internal sealed class PtxGroup
{
    private const int Slice = 4096;
    private long _budget;

    internal PtxGroup(PtxProgram program, PtxLaunchShape shape, int dynamicSharedBytes, PtxOptions options)
    {
        Program = program;
        Shape = shape;
        DynamicSharedBytes = dynamicSharedBytes;
        Parameters = GC.AllocateArray<byte>(program.ParameterBytes, pinned: true);
        Options = options;
        WarpCount = (shape.Threads + 31) / 32;
        Shared = new PtxSharedMemory(program.SharedBytes + dynamicSharedBytes, options.FindRaces);
        Warps = [.. Enumerable.Range(0, WarpCount).Select(index => new PtxWarp(this, index, Math.Min(32, shape.Threads - 32 * index)))];
        Barriers = new PtxBarriers(this);
        Objects = new PtxBarrierObjects(this);
    }

    internal PtxProgram Program { get; }

    internal PtxLaunchShape Shape { get; }

    internal int DynamicSharedBytes { get; }

    /// <summary>What the entry was given: the same for all groups of a launch.</summary>
    internal byte[] Parameters { get; }

    internal PtxMemory Memory { get; set; } = null!;

    internal PtxOptions Options { get; }

    internal int WarpCount { get; }

    internal PtxSharedMemory Shared { get; }

    internal PtxWarp[] Warps { get; }

    internal PtxBarriers Barriers { get; }

    /// <summary>The barrier objects in shared memory.</summary>
    internal PtxBarrierObjects Objects { get; }

    /// <summary>The group's place in the grid.</summary>
    internal int X { get; private set; }

    internal int Y { get; private set; }

    internal int Z { get; private set; }

    /// <summary>Warp instructions that have run in the group: what clocks show.</summary>
    internal long Instructions => Options.InstructionsPerGroup - _budget;

    /// <summary>Runs the group at that place from its start to its end.</summary>
    internal void Run(int x, int y, int z)
    {
        (X, Y, Z) = (x, y, z);
        _budget = Options.InstructionsPerGroup;
        Shared.Clear();
        Barriers.Clear();
        Objects.Clear();
        foreach (PtxWarp warp in Warps) warp.Start();
        while (true)
        {
            bool progress = false, alive = false;
            foreach (PtxWarp warp in Warps)
            {
                progress |= warp.Run(Slice);
                alive |= warp.Live != 0;
            }
            if (!alive) break;
            if (!progress) throw Stuck();
        }
    }

    internal void Spend(int instructions)
    {
        _budget -= instructions;
        if (_budget < 0)
        {
            PtxWarp warp = Warps.First(warp => warp.Live != 0 || warp == Warps[^1]);
            throw warp.Fault<EndlessLoopFault>(0, $"the group has run {Options.InstructionsPerGroup} instructions of warps");
        }
    }

    /// <summary>Nothing can go on: says who waits where.</summary>
    private PtxFault Stuck()
    {
        var waiting = new List<string>();
        foreach (PtxWarp warp in Warps)
        {
            foreach (IGrouping<int, int> place in Enumerable.Range(0, 32).Where(lane => (warp.Live >> lane & 1) != 0).GroupBy(warp.Place))
            {
                PtxOp op = Program.Ops[place.Key];
                waiting.Add($"warp {warp.Index}, lanes {string.Join(" ", place)} wait at line {op.Line} ({op.Text})");
            }
            if (warp.Live != warp.Lanes) waiting.Add($"warp {warp.Index}: {System.Numerics.BitOperations.PopCount(warp.Lanes & ~warp.Live)} lanes have exited");
        }
        string message = $"{Program.Name}, group ({X}, {Y}, {Z}): nothing can go on: {string.Join("; ", waiting)}";
        return Warps.Any(warp => warp.Parked != 0) ? new DivergentCollectiveFault(message) : new BarrierFault(message);
    }
}

/// <summary>What the machine checks and how far it goes.</summary>
internal sealed record PtxOptions
{
    /// <summary>Whether accesses to shared memory that nothing orders are faults.</summary>
    internal bool FindRaces { get; init; } = true;

    /// <summary>The warp instructions a group may run before it counts as endless.</summary>
    internal long InstructionsPerGroup { get; init; } = 100_000_000;
}
