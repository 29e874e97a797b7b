using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>Comparing and choosing (PTX ISA, "Comparison and Selection Instructions").</summary>
internal static class CompareInstructions
{
    private static readonly string[] s_comparisons =
        ["eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"];

    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() =>
        [("setp", SetPredicate), ("set", Set), ("selp", Select), ("slct", SelectBySign), ("testp", Test)];

    /// <summary>A relation of two numbers' bits.</summary>
    private interface IRelation
    {
        static abstract bool Holds(ulong a, ulong b);
    }

    private static Type Relation(PtxDecoder d, PtxType type, out bool negated)
    {
        string comparison = d.OneOf(s_comparisons) ?? throw d.Error("the comparison is missing");
        bool isFloat = type.IsFloat();
        negated = false;
        if (comparison is "lo" or "ls" or "hi" or "hs" && (isFloat || type.IsSigned())) throw d.Error($".{comparison} compares unsigned numbers");
        if (!isFloat && (comparison is "num" or "nan" || comparison.Length == 3)) throw d.Error($".{comparison} compares floats");
        if (type is PtxType.B16 or PtxType.B32 or PtxType.B64 && comparison is not ("eq" or "ne")) throw d.Error("bits are equal or not");
        Type number = type switch
        {
            PtxType.F16 => typeof(Half),
            _ when type.Size() >= 2 && type is not (PtxType.Bf16 or PtxType.F16x2 or PtxType.Bf16x2 or PtxType.Tf32) => type.Clr(),
            _ => throw d.Error("the type is not known here"),
        };
        // An unordered relation is the negation of the opposite ordered one.
        (Type relation, negated) = comparison switch
        {
            "eq" => (typeof(Equal<>), false),
            "ne" => isFloat ? (typeof(Different<>), false) : (typeof(Equal<>), true),
            "lt" or "lo" => (typeof(Less<>), false),
            "le" or "ls" => (typeof(LessOrEqual<>), false),
            "gt" or "hi" => (typeof(Greater<>), false),
            "ge" or "hs" => (typeof(GreaterOrEqual<>), false),
            "equ" => (typeof(Different<>), true),
            "neu" => (typeof(Equal<>), true),
            "ltu" => (typeof(GreaterOrEqual<>), true),
            "leu" => (typeof(Greater<>), true),
            "gtu" => (typeof(LessOrEqual<>), true),
            "geu" => (typeof(Less<>), true),
            "num" => (typeof(Ordered<>), false),
            _ => (typeof(Ordered<>), true),
        };
        if (d.Flag("ftz"))
        {
            if (type != PtxType.F32) throw d.Error(".ftz belongs to float32");
            return typeof(Flushed<>).MakeGenericType(relation.MakeGenericType(number));
        }
        return relation.MakeGenericType(number);
    }

    private static PtxOp SetPredicate(PtxDecoder d)
    {
        d.Count(3, 4);
        PtxType type = d.Type();
        Type relation = Relation(d, type, out bool negated);
        string? combine = d.OneOf("and", "or", "xor");
        if ((combine is null) != (d.Operands.Length == 3)) throw d.Error("a combination and its predicate belong together");
        PtxOperand target = d.Operands[0];
        PtxOperand[] targets = target.Kind == PtxOperandKind.Pair ? target.Parts : [target];
        int second = targets.Length > 1 ? d.PredicateOf(targets[1]) : -1;
        return PtxDecoder.Make(
            typeof(SetPredicateOp<>), [relation], d.PredicateOf(targets[0]), second, d.Source(1, type), d.Source(2, type), negated, combine ?? "",
            combine is null ? default : d.PredicateSource(3));
    }

    private static PtxOp Set(PtxDecoder d)
    {
        d.Count(3);
        PtxType result = d.Type(), type = d.Type();
        Type relation = Relation(d, type, out bool negated);
        ulong yes = result switch
        {
            PtxType.U32 or PtxType.S32 => uint.MaxValue,
            PtxType.F32 => Bits.Of(1f),
            _ => throw d.Error("the type of the result is not known"),
        };
        return PtxDecoder.Make(typeof(SetOp<>), [relation], d.Target(0, result), d.Source(1, type), d.Source(2, type), negated, yes);
    }

    private static PtxOp Select(PtxDecoder d)
    {
        d.Count(4);
        PtxType type = d.Type();
        return new SelectOp(d.Target(0, type), d.Source(1, type), d.Source(2, type), d.PredicateSource(3));
    }

    private static PtxOp SelectBySign(PtxDecoder d)
    {
        d.Count(4);
        PtxType type = d.Type(), sign = d.Type();
        if (sign is not (PtxType.S32 or PtxType.F32)) throw d.Error("the type of the sign is not known");
        return new TernaryFunctionOp(
            d.Target(0, type), d.Source(1, type), d.Source(2, type), d.Source(3, sign),
            (a, b, c) => (sign == PtxType.S32 ? (int)c >= 0 : Bits.Single(c) >= 0) ? a : b);
    }

    private static PtxOp Test(PtxDecoder d)
    {
        d.Count(2);
        string which = d.OneOf("finite", "infinite", "number", "notanumber", "normal", "subnormal") ?? throw d.Error("the test is missing");
        PtxType type = d.Type();
        if (type is not (PtxType.F32 or PtxType.F64)) throw d.Error("only floats are tested");
        return new TestOp(d.PredicateOf(d.Operands[0]), d.Source(1, type), bits =>
        {
            double value = type == PtxType.F32 ? Bits.Single(bits) : Bits.Double(bits);
            bool subnormal = type == PtxType.F32 ? float.IsSubnormal(Bits.Single(bits)) : double.IsSubnormal(value);
            return which switch
            {
                "finite" => double.IsFinite(value),
                "infinite" => double.IsInfinity(value),
                "number" => !double.IsNaN(value),
                "notanumber" => double.IsNaN(value),
                "normal" => double.IsFinite(value) && value != 0 && !subnormal,
                _ => subnormal,
            };
        });
    }

    private readonly struct Equal<T> : IRelation where T : unmanaged, INumber<T>
    {
        public static bool Holds(ulong a, ulong b) => Bits.To<T>(a) == Bits.To<T>(b);
    }

    private readonly struct Different<T> : IRelation where T : unmanaged, INumber<T>
    {
        public static bool Holds(ulong a, ulong b) => Bits.To<T>(a) < Bits.To<T>(b) || Bits.To<T>(a) > Bits.To<T>(b);
    }

    private readonly struct Less<T> : IRelation where T : unmanaged, INumber<T>
    {
        public static bool Holds(ulong a, ulong b) => Bits.To<T>(a) < Bits.To<T>(b);
    }

    private readonly struct LessOrEqual<T> : IRelation where T : unmanaged, INumber<T>
    {
        public static bool Holds(ulong a, ulong b) => Bits.To<T>(a) <= Bits.To<T>(b);
    }

    private readonly struct Greater<T> : IRelation where T : unmanaged, INumber<T>
    {
        public static bool Holds(ulong a, ulong b) => Bits.To<T>(a) > Bits.To<T>(b);
    }

    private readonly struct GreaterOrEqual<T> : IRelation where T : unmanaged, INumber<T>
    {
        public static bool Holds(ulong a, ulong b) => Bits.To<T>(a) >= Bits.To<T>(b);
    }

    private readonly struct Ordered<T> : IRelation where T : unmanaged, INumber<T>
    {
        public static bool Holds(ulong a, ulong b) => !T.IsNaN(Bits.To<T>(a)) && !T.IsNaN(Bits.To<T>(b));
    }

    private readonly struct Flushed<T> : IRelation where T : struct, IRelation
    {
        public static bool Holds(ulong a, ulong b) => T.Holds(Bits.Of(FlushToZero.In(Bits.Single(a))), Bits.Of(FlushToZero.In(Bits.Single(b))));
    }

    private static unsafe uint Compare<T>(PtxWarp warp, uint mask, int a, int b) where T : struct, IRelation
    {
        ulong* x = warp.Read(a, mask), y = warp.Read(b, mask);
        uint result = 0;
        for (; mask != 0; mask &= mask - 1)
        {
            int lane = BitOperations.TrailingZeroCount(mask);
            if (T.Holds(x[lane], y[lane])) result |= 1u << lane;
        }
        return result;
    }

    private sealed class SetPredicateOp<T>(int target, int second, int a, int b, bool negated, string combine, PredicateSource other) : PtxPlainOp
        where T : struct, IRelation
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            uint result = Compare<T>(warp, mask, a, b);
            if (negated) result = ~result;
            uint with = combine.Length == 0 ? 0 : other.Read(warp, mask);
            warp.SetPredicate(target, mask, Combine(result, with));
            // The second one is combined with the negated comparison.
            if (second >= 0) warp.SetPredicate(second, mask, Combine(~result, with));
        }

        private uint Combine(uint result, uint with) => combine switch
        {
            "and" => result & with,
            "or" => result | with,
            "xor" => result ^ with,
            _ => result,
        };
    }

    private sealed unsafe class SetOp<T>(int target, int a, int b, bool negated, ulong yes) : PtxPlainOp where T : struct, IRelation
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            uint result = Compare<T>(warp, mask, a, b);
            if (negated) result = ~result;
            ulong* y = warp.Write(target, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                y[lane] = (result >> lane & 1) != 0 ? yes : 0;
            }
        }
    }

    private sealed unsafe class SelectOp(int target, int a, int b, PredicateSource which) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            uint first = which.Read(warp, mask);
            ulong* x = warp.Read(a, mask), y = warp.Read(b, mask), z = warp.Write(target, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                z[lane] = (first >> lane & 1) != 0 ? x[lane] : y[lane];
            }
        }
    }

    private sealed unsafe class TestOp(int target, int a, Func<ulong, bool> test) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* x = warp.Read(a, mask);
            uint result = 0;
            for (uint rest = mask; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest);
                if (test(x[lane])) result |= 1u << lane;
            }
            warp.SetPredicate(target, mask, result);
        }
    }
}
