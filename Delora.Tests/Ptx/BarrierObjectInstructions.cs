using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>Barrier objects in shared memory (PTX ISA, "mbarrier"). What a wait finds not to have ended lets other warps come first.</summary>
internal static class BarrierObjectInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() => [("mbarrier", Decode)];

    private static PtxOp Decode(PtxDecoder d)
    {
        string what = d.OneOf("init", "inval", "arrive", "expect_tx", "test_wait", "try_wait") ?? throw d.Error("this use of a barrier object is not known");
        bool expects = what == "arrive" && d.Flag("expect_tx"), parity = what is "test_wait" or "try_wait" && d.Flag("parity");
        d.OneOf("release", "acquire", "relaxed");
        d.OneOf("cta", "cluster");
        if (d.OneOf("shared", "shared::cta", "shared::cluster") is null) throw d.Error("barrier objects lie in shared memory: generic addresses are not known here");
        d.Need("b64");
        switch (what)
        {
            case "init":
                d.Count(2);
                return new LifeOp(d.Address(0), d.Source(1, PtxType.U32));
            case "inval":
                d.Count(1);
                return new LifeOp(d.Address(0), -1);
            case "expect_tx":
                d.Count(2);
                return new ArriveOp(-1, d.Address(0), -1, d.Source(1, PtxType.U32), false);
            case "arrive":
                d.Count(expects ? 3 : 2, 3);
                int count = !expects && d.Operands.Length > 2 ? d.Source(2, PtxType.U32) : -1;
                return new ArriveOp(d.Target(0, PtxType.B64), d.Address(1), count, expects ? d.Source(2, PtxType.U32) : -1, true);
            default:
                d.Count(3, what == "try_wait" ? 4 : 3);
                if (d.Operands.Length > 3) d.Source(3, PtxType.U32);
                return new WaitOp(d.PredicateOf(d.Operands[0]), d.Address(1), d.Source(2, parity ? PtxType.U32 : PtxType.B64), parity);
        }
    }

    private sealed unsafe class LifeOp(PtxDecoder.Place place, int count) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* at = warp.Read(place.Slot, mask), counts = count < 0 ? null : warp.Read(count, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                ulong address = at[lane] + place.Offset;
                byte* bytes = warp.Group.Shared.Locate(warp, lane, address, 8);
                if (counts == null) warp.Group.Objects.Remove(warp, lane, address);
                else warp.Group.Objects.Create(warp, lane, address, (uint)counts[lane]);
                warp.Group.Shared.Forget(warp, lane, bytes, 8);
            }
        }
    }

    private sealed unsafe class ArriveOp(int target, PtxDecoder.Place place, int count, int bytes, bool arrives) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* at = warp.Read(place.Slot, mask), counts = count < 0 ? null : warp.Read(count, mask), announced = bytes < 0 ? null : warp.Read(bytes, mask);
            ulong* token = target < 0 ? null : warp.Write(target, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                PtxBarrierObject found = warp.Group.Objects.Find(warp, lane, at[lane] + place.Offset);
                if (token != null) token[lane] = (ulong)found.Phase;
                found.Arrive(warp, lane, !arrives ? 0 : counts == null ? 1 : (uint)counts[lane], announced == null ? 0 : (uint)announced[lane]);
            }
        }
    }

    private sealed unsafe class WaitOp(int target, PtxDecoder.Place place, int phase, bool parity) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* at = warp.Read(place.Slot, mask), which = warp.Read(phase, mask);
            uint ended = 0;
            for (uint rest = mask; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest);
                PtxBarrierObject found = warp.Group.Objects.Find(warp, lane, at[lane] + place.Offset);
                if (parity && which[lane] > 1) throw warp.Fault<PtxLimitFault>(lane, $"{which[lane]} is no parity");
                long waited = (long)which[lane];
                if (!parity && (waited > found.Phase || waited < found.Phase - 1)) throw warp.Fault<BarrierFault>(lane, "the phase is neither the present one nor the one before");
                if (found.HasEnded(warp, parity ? (found.Phase & 1) != waited : found.Phase > waited)) ended |= 1u << lane;
            }
            warp.SetPredicate(target, mask, ended);
            if (ended != mask) warp.Yields = true;
        }
    }
}
