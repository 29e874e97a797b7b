using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>Exchanging values and votes in a warp (PTX ISA, "shfl.sync", "vote.sync", "match.sync", "redux.sync", "activemask", "elect.sync").</summary>
internal static class WarpInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() =>
        [("shfl", Shuffle), ("vote", Vote), ("match", Match), ("redux", Reduce), ("activemask", Active), ("elect", Elect)];

    private static (PtxOperand Target, int Predicate) Pair(PtxDecoder d)
    {
        PtxOperand operand = d.Operands[0];
        return operand.Kind == PtxOperandKind.Pair ? (operand.Parts[0], d.PredicateOf(operand.Parts[1])) : (operand, -1);
    }

    private static PtxOp Shuffle(PtxDecoder d)
    {
        d.Count(5);
        d.Need("sync");
        string mode = d.OneOf("up", "down", "bfly", "idx") ?? throw d.Error("the mode is missing");
        d.Need("b32");
        (PtxOperand target, int predicate) = Pair(d);
        PtxType b32 = PtxType.B32;
        return new ShuffleOp(d.TargetOf(target, b32), predicate, d.Source(1, b32), d.Source(2, b32), d.Source(3, b32), d.Source(4, b32), mode);
    }

    private static PtxOp Vote(PtxDecoder d)
    {
        d.Count(3);
        d.Need("sync");
        string mode = d.OneOf("all", "any", "uni", "ballot") ?? throw d.Error("the mode is missing");
        d.Need(mode == "ballot" ? "b32" : "pred");
        int target = mode == "ballot" ? d.Target(0, PtxType.B32) : d.PredicateOf(d.Operands[0]);
        return new VoteOp(target, d.PredicateSource(1), d.Source(2, PtxType.B32), mode);
    }

    private static PtxOp Match(PtxDecoder d)
    {
        d.Count(3);
        bool all = d.OneOf("any", "all") switch { "all" => true, "any" => false, _ => throw d.Error("the mode is missing") };
        d.Need("sync");
        PtxType type = d.Type();
        if (type is not (PtxType.B32 or PtxType.B64)) throw d.Error("the type is not known here");
        (PtxOperand target, int predicate) = Pair(d);
        if (predicate >= 0 && !all) throw d.Error("only .all has a predicate");
        return new MatchOp(d.TargetOf(target, PtxType.B32), predicate, d.Source(1, type), d.Source(2, PtxType.B32), all);
    }

    private static PtxOp Reduce(PtxDecoder d)
    {
        d.Count(3);
        d.Need("sync");
        string operation = d.OneOf("add", "min", "max", "and", "or", "xor") ?? throw d.Error("the operation is missing");
        PtxType type = d.Type();
        if (operation is "and" or "or" or "xor" ? type != PtxType.B32 : type is not (PtxType.U32 or PtxType.S32))
            throw d.Error("the type does not fit the operation");
        return new ReduceOp(d.Target(0, type), d.Source(1, type), d.Source(2, PtxType.B32), (a, b) => operation switch
        {
            "add" => (uint)(a + b),
            "min" => type == PtxType.S32 ? (uint)Math.Min((int)a, (int)b) : Math.Min(a, b),
            "max" => type == PtxType.S32 ? (uint)Math.Max((int)a, (int)b) : Math.Max(a, b),
            "and" => a & b,
            "or" => a | b,
            _ => a ^ b,
        });
    }

    private static PtxOp Active(PtxDecoder d)
    {
        d.Count(1);
        d.Need("b32");
        return new ActiveOp(d.Target(0, PtxType.B32));
    }

    private static PtxOp Elect(PtxDecoder d)
    {
        d.Count(2);
        d.Need("sync");
        (PtxOperand target, int predicate) = Pair(d);
        if (predicate < 0) throw d.Error("the predicate is missing");
        return new ElectOp(d.TargetOf(target, PtxType.B32), predicate, d.Source(1, PtxType.B32));
    }

    private sealed unsafe class ShuffleOp(int target, int predicate, int value, int b, int c, int members, string mode) : MaskedCollectiveOp(members)
    {
        protected override void Run(PtxWarp warp, uint mask)
        {
            ulong* x = warp.Read(value, mask), by = warp.Read(b, mask), bounds = warp.Read(c, mask), old = stackalloc ulong[32];
            for (int lane = 0; lane < 32; lane++) old[lane] = x[lane];
            ulong* y = warp.Write(target, mask);
            uint valid = 0;
            for (uint rest = mask; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest), distance = (int)by[lane] & 31;
                int segment = (int)(bounds[lane] >> 8) & 31, clamp = (int)bounds[lane] & 31;
                int least = lane & segment, most = least | (clamp & ~segment);
                int from = mode switch
                {
                    "up" => lane - distance,
                    "down" => lane + distance,
                    "bfly" => lane ^ distance,
                    _ => least | (distance & ~segment),
                };
                bool inside = mode == "up" ? from >= most : from <= most;
                if (inside) valid |= 1u << lane;
                else from = lane;
                if ((mask >> from & 1) == 0) throw warp.Fault<DivergentCollectiveFault>(lane, $"it takes the value of lane {from}, which does not take part");
                y[lane] = old[from];
            }
            if (predicate >= 0) warp.SetPredicate(predicate, mask, valid);
        }
    }

    private sealed unsafe class VoteOp(int target, PredicateSource source, int members, string mode) : MaskedCollectiveOp(members)
    {
        protected override void Run(PtxWarp warp, uint mask)
        {
            uint votes = source.Read(warp, mask);
            if (mode == "ballot")
            {
                ulong* y = warp.Write(target, mask);
                for (; mask != 0; mask &= mask - 1) y[BitOperations.TrailingZeroCount(mask)] = votes;
                return;
            }
            bool result = mode switch { "all" => votes == mask, "any" => votes != 0, _ => votes == mask || votes == 0 };
            warp.SetPredicate(target, mask, result ? uint.MaxValue : 0);
        }
    }

    private sealed unsafe class MatchOp(int target, int predicate, int value, int members, bool all) : MaskedCollectiveOp(members)
    {
        protected override void Run(PtxWarp warp, uint mask)
        {
            ulong* x = warp.Read(value, mask), result = stackalloc ulong[32];
            uint equal = 0;
            for (uint rest = mask; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest);
                uint same = 0;
                for (uint others = mask; others != 0; others &= others - 1)
                {
                    int other = BitOperations.TrailingZeroCount(others);
                    if (x[other] == x[lane]) same |= 1u << other;
                }
                result[lane] = all && same != mask ? 0 : same;
                if (same == mask) equal |= 1u << lane;
            }
            ulong* y = warp.Write(target, mask);
            for (uint rest = mask; rest != 0; rest &= rest - 1) y[BitOperations.TrailingZeroCount(rest)] = result[BitOperations.TrailingZeroCount(rest)];
            if (predicate >= 0) warp.SetPredicate(predicate, mask, equal);
        }
    }

    private sealed unsafe class ReduceOp(int target, int value, int members, Func<ulong, ulong, ulong> function) : MaskedCollectiveOp(members)
    {
        protected override void Run(PtxWarp warp, uint mask)
        {
            ulong* x = warp.Read(value, mask);
            ulong result = x[BitOperations.TrailingZeroCount(mask)];
            for (uint rest = mask & (mask - 1); rest != 0; rest &= rest - 1) result = function(result, x[BitOperations.TrailingZeroCount(rest)]);
            ulong* y = warp.Write(target, mask);
            for (; mask != 0; mask &= mask - 1) y[BitOperations.TrailingZeroCount(mask)] = result;
        }
    }

    private sealed unsafe class ActiveOp(int target) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* y = warp.Write(target, mask);
            for (uint rest = mask; rest != 0; rest &= rest - 1) y[BitOperations.TrailingZeroCount(rest)] = mask;
        }
    }

    private sealed unsafe class ElectOp(int target, int predicate, int members) : MaskedCollectiveOp(members)
    {
        protected override void Run(PtxWarp warp, uint mask)
        {
            int leader = BitOperations.TrailingZeroCount(mask);
            ulong* y = warp.Write(target, mask);
            for (uint rest = mask; rest != 0; rest &= rest - 1) y[BitOperations.TrailingZeroCount(rest)] = (ulong)leader;
            warp.SetPredicate(predicate, mask, 1u << leader);
        }
    }
}
