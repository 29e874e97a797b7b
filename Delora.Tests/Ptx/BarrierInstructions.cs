using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>Barriers of a group and of a warp (PTX ISA, "bar, barrier", "bar.warp.sync" and "barrier.cluster", for clusters of one group).</summary>
internal static class BarrierInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() => [("bar", Decode), ("barrier", Decode)];

    private static PtxOp Decode(PtxDecoder d)
    {
        if (d.Root == "bar" && d.Flag("warp"))
        {
            d.Need("sync");
            d.Count(1);
            return new WarpBarrierOp(d.Source(0, PtxType.B32));
        }
        if (d.Flag("cluster")) throw d.Error("barriers of clusters are not known");
        d.Flag("cta");
        bool aligned = d.Flag("aligned") || d.Root == "bar";
        switch (d.OneOf("sync", "arrive", "red"))
        {
            case "sync":
                d.Count(1, 2);
                return new BarrierOp(d.Source(0, PtxType.B32), d.Operands.Length > 1 ? d.Source(1, PtxType.B32) : -1, aligned, true, "", -1, default);
            case "arrive":
                d.Count(2);
                return new BarrierOp(d.Source(0, PtxType.B32), d.Source(1, PtxType.B32), aligned, false, "", -1, default);
            case "red":
                d.Count(3, 4);
                string operation = d.OneOf("popc", "and", "or") ?? throw d.Error("the operation is missing");
                PtxType type = d.Type();
                if (type != (operation == "popc" ? PtxType.U32 : PtxType.Pred)) throw d.Error("the type does not fit the operation");
                int target = operation == "popc" ? d.Target(0, type) : d.PredicateOf(d.Operands[0]);
                return new BarrierOp(
                    d.Source(1, PtxType.B32), d.Operands.Length > 3 ? d.Source(2, PtxType.B32) : -1, aligned, true, operation, target,
                    d.PredicateSource(d.Operands.Length - 1));
            default:
                throw d.Error("one of .sync, .arrive and .red is missing");
        }
    }

    private sealed class WarpBarrierOp(int members) : MaskedCollectiveOp(members)
    {
        protected override void Run(PtxWarp warp, uint mask) => warp.Meet();
    }
}

/// <summary>Arriving at a barrier of the group, and waiting there. Aligned, a warp arrives as a whole.</summary>
internal sealed unsafe class BarrierOp(
    int id, int count, bool isAligned, bool waits, string operation, int target, PredicateSource predicate) : CollectiveOp
{
    protected override bool Holds => waits;

    protected override uint Members(PtxWarp warp, int lane) => isAligned ? warp.Live : 1u << lane;

    protected override void Run(PtxWarp warp, uint mask)
    {
        ulong which = Same(warp, mask, id);
        int first = BitOperations.TrailingZeroCount(mask);
        if (which > 15) throw warp.Fault<PtxLimitFault>(first, $"there is no barrier {which}");
        int? expected = null;
        if (count >= 0)
        {
            ulong threads = Same(warp, mask, count);
            if (threads is 0 or > 1024 || threads % 32 != 0) throw warp.Fault<PtxLimitFault>(first, $"{threads} threads are no multiple of a warp's");
            expected = (int)threads;
        }
        uint predicates = operation.Length > 0 ? predicate.Read(warp, mask) : 0;
        PtxBarrier barrier = warp.Group.Barriers[(int)which];
        barrier.Arrive(warp, mask, expected, waits, predicates, isAligned);
        if (barrier.IsComplete(warp.Group)) barrier.Open(warp.Group);
    }

    /// <summary>Gives lanes that have waited what the barrier has found.</summary>
    internal void Finish(PtxWarp warp, uint mask, int found, bool all, bool any)
    {
        if (operation == "popc")
        {
            ulong* y = warp.Write(target, mask);
            for (; mask != 0; mask &= mask - 1) y[BitOperations.TrailingZeroCount(mask)] = (ulong)found;
        }
        else if (operation.Length > 0) warp.SetPredicate(target, mask, (operation == "and" ? all : any) ? uint.MaxValue : 0);
    }

    private static ulong Same(PtxWarp warp, uint mask, int slot)
    {
        ulong* x = warp.Read(slot, mask);
        ulong value = x[BitOperations.TrailingZeroCount(mask)];
        for (; mask != 0; mask &= mask - 1)
        {
            int lane = BitOperations.TrailingZeroCount(mask);
            if (x[lane] != value) throw warp.Fault<DivergentCollectiveFault>(lane, "lanes of the warp name different barriers or numbers of threads");
        }
        return value;
    }
}
