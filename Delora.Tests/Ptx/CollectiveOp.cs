using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>
/// An instruction for which lanes of a warp must meet. Lanes wait until all that are named, and have not exited, stand at this very instruction; if they
/// never do, the group is stuck and the fault says who waits where.
/// </summary>
internal abstract class CollectiveOp : PtxOp
{
    /// <summary>The lanes that a lane waits for, itself among them.</summary>
    protected abstract uint Members(PtxWarp warp, int lane);

    /// <summary>Runs it for lanes that have met.</summary>
    protected abstract void Run(PtxWarp warp, uint mask);

    /// <summary>Whether it needs a whole warp of 32 lanes, none exited.</summary>
    protected virtual bool NeedsWholeWarp => false;

    /// <summary>Whether the lanes stay there until something else lets them go.</summary>
    protected virtual bool Holds => false;

    internal sealed override bool Step(PtxWarp warp, uint mask, uint active, ref int pc)
    {
        uint here = active | warp.ParkedAt(pc), done = 0;
        if (active != mask) warp.SetPlaces(mask & ~active, pc + 1);
        if (Holds || here != active) warp.SetPlaces(here, pc);
        for (uint rest = here; rest != 0;)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            uint named = Members(warp, lane), members = named & warp.Live;
            if ((members >> lane & 1) == 0) throw warp.Fault<DivergentCollectiveFault>(lane, $"the lane itself is not in its mask 0x{named:x}");
            if (NeedsWholeWarp && warp.Live != uint.MaxValue) throw warp.Fault<DivergentCollectiveFault>(lane, "lanes of the warp have exited, or never were");
            if ((members & here) != members)
            {
                rest &= rest - 1;
                continue;
            }
            for (uint others = members; others != 0; others &= others - 1)
            {
                int other = BitOperations.TrailingZeroCount(others);
                if (Members(warp, other) != named)
                    throw warp.Fault<DivergentCollectiveFault>(other, $"its mask is 0x{Members(warp, other):x}, and that of lane {lane} is 0x{named:x}");
            }
            warp.Parked &= ~members;
            Run(warp, members);
            done |= members;
            rest &= ~members;
        }
        uint left = here & ~done;
        warp.Parked |= left;
        if (!Holds && done == mask)
        {
            pc++;
            return true;
        }
        if (!Holds) warp.SetPlaces(done, pc + 1);
        warp.SetPlaces(left, pc);
        return false;
    }
}

/// <summary>A collective whose lanes are named by an operand, the same for all of them.</summary>
internal abstract unsafe class MaskedCollectiveOp(int members) : CollectiveOp
{
    protected override uint Members(PtxWarp warp, int lane) => (uint)warp.Read(members, 1u << lane)[lane];
}

/// <summary>A collective of a whole warp (<c>.sync.aligned</c>).</summary>
internal abstract class WarpCollectiveOp : CollectiveOp
{
    protected override bool NeedsWholeWarp => true;

    protected override uint Members(PtxWarp warp, int lane) => uint.MaxValue;
}
