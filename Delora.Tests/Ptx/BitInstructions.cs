using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>Logic, shifts and bit fields (PTX ISA, "Logic and Shift Instructions" and "Integer Arithmetic Instructions").</summary>
internal static class BitInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() =>
    [
        ("and", d => Logic(d, typeof(And), (a, b) => a & b)),
        ("or", d => Logic(d, typeof(Or), (a, b) => a | b)),
        ("xor", d => Logic(d, typeof(Xor), (a, b) => a ^ b)),
        ("not", Not),
        ("cnot", d => Function(d, d.Type(), null, (a, _) => a == 0 ? 1u : 0)),
        ("shl", d => Shift(d, typeof(ShiftLeft<>))),
        ("shr", d => Shift(d, typeof(ShiftRight<>))),
        ("shf", Funnel),
        ("popc", d => Function(d, d.Type(), PtxType.U32, (a, _) => (ulong)BitOperations.PopCount(a))),
        ("clz", d => Function(d, d.Type(), PtxType.U32, (a, size) => (ulong)(BitOperations.LeadingZeroCount(a) - (64 - size)))),
        ("brev", d => Function(d, d.Type(), null, Reverse)),
        ("bfind", FindBit),
        ("bfe", Extract),
        ("bfi", Insert),
        ("bmsk", Mask),
        ("lop3", Lookup),
        ("prmt", Permute),
    ];

    private static PtxOp Logic(PtxDecoder d, Type lane, Func<uint, uint, uint> predicates)
    {
        d.Count(3);
        PtxType type = d.Type();
        if (type == PtxType.Pred) return new PredicateLogic(d.PredicateOf(d.Operands[0]), d.PredicateSource(1), d.PredicateSource(2), predicates);
        Untyped(d, type);
        return PtxDecoder.Make(typeof(BinaryOp<>), [lane], d.Target(0, type), d.Source(1, type), d.Source(2, type));
    }

    private static PtxOp Not(PtxDecoder d)
    {
        d.Count(2);
        PtxType type = d.Type();
        if (type == PtxType.Pred) return new PredicateLogic(d.PredicateOf(d.Operands[0]), d.PredicateSource(1), d.PredicateSource(1), (a, _) => ~a);
        ulong all = ulong.MaxValue >> (64 - 8 * Untyped(d, type).Size());
        return new FunctionOp(d.Target(0, type), d.Source(1, type), a => a ^ all);
    }

    private static PtxType Untyped(PtxDecoder d, PtxType type) =>
        type is PtxType.B16 or PtxType.B32 or PtxType.B64 ? type : throw d.Error("the type is not .b16, .b32 or .b64");

    private static PtxOp Function(PtxDecoder d, PtxType type, PtxType? result, Func<ulong, int, ulong> function)
    {
        d.Count(2);
        int size = 8 * Untyped(d, type).Size();
        return new FunctionOp(d.Target(0, result ?? type), d.Source(1, type), a => function(a, size));
    }

    private static ulong Reverse(ulong a, int size)
    {
        ulong reversed = 0;
        for (int i = 0; i < size; i++) reversed |= (a >> i & 1) << (size - 1 - i);
        return reversed;
    }

    // Amounts beyond the width count as the width.
    private static PtxOp Shift(PtxDecoder d, Type lane)
    {
        d.Count(3);
        PtxType type = d.Type();
        if (type.IsFloat() || type.Size() < 2) throw d.Error("the type cannot be shifted");
        if (d.Root == "shl") Untyped(d, type);
        return PtxDecoder.Make(typeof(BinaryOp<>), [lane.MakeGenericType(type.Clr())], d.Target(0, type), d.Source(1, type), d.Source(2, PtxType.U32));
    }

    private static PtxOp Funnel(PtxDecoder d)
    {
        d.Count(4);
        bool left = d.OneOf("l", "r") switch { "l" => true, "r" => false, _ => throw d.Error(".l or .r is missing") };
        bool clamp = d.OneOf("clamp", "wrap") switch { "clamp" => true, "wrap" => false, _ => throw d.Error(".clamp or .wrap is missing") };
        d.Need("b32");
        return new TernaryFunctionOp(
            d.Target(0, PtxType.B32), d.Source(1, PtxType.B32), d.Source(2, PtxType.B32), d.Source(3, PtxType.U32), (low, high, amount) =>
            {
                int shift = (int)(clamp ? Math.Min(amount, 32) : amount & 31);
                ulong both = high << 32 | low;
                return left ? (uint)(both << shift >> 32) : (uint)(both >> shift);
            });
    }

    private static PtxOp FindBit(PtxDecoder d)
    {
        d.Count(2);
        bool amount = d.Flag("shiftamt");
        PtxType type = d.Type();
        if (type.IsFloat() || type.Size() < 4) throw d.Error("the type is not known here");
        int size = 8 * type.Size();
        return new FunctionOp(d.Target(0, PtxType.U32), d.Source(1, type), a =>
        {
            ulong all = ulong.MaxValue >> (64 - size);
            ulong searched = type.IsSigned() && (a >> (size - 1) & 1) != 0 ? ~a & all : a;
            if (searched == 0) return uint.MaxValue;
            int at = BitOperations.Log2(searched);
            return (uint)(amount ? size - 1 - at : at);
        });
    }

    private static PtxOp Extract(PtxDecoder d)
    {
        d.Count(4);
        PtxType type = d.Type();
        if (type.IsFloat() || type.Size() < 4) throw d.Error("the type is not known here");
        int size = 8 * type.Size();
        return new TernaryFunctionOp(
            d.Target(0, type), d.Source(1, type), d.Source(2, PtxType.U32), d.Source(3, PtxType.U32), (a, start, count) =>
            {
                int at = (int)(start & 0xFF), length = (int)(count & 0xFF);
                ulong sign = !type.IsSigned() || length == 0 ? 0 : a >> Math.Min(at + length - 1, size - 1) & 1;
                ulong result = 0;
                for (int i = 0; i < size; i++) result |= (i < length && at + i < size ? a >> (at + i) & 1 : sign) << i;
                return result;
            });
    }

    private static PtxOp Insert(PtxDecoder d)
    {
        d.Count(5);
        PtxType type = Untyped(d, d.Type());
        if (type == PtxType.B16) throw d.Error("the type is not known here");
        int size = 8 * type.Size();
        return new BitInsertOp(d.Target(0, type), d.Source(1, type), d.Source(2, type), d.Source(3, PtxType.U32), d.Source(4, PtxType.U32), size);
    }

    private static PtxOp Mask(PtxDecoder d)
    {
        d.Count(3);
        bool clamp = d.OneOf("clamp", "wrap") switch { "clamp" => true, "wrap" => false, _ => throw d.Error(".clamp or .wrap is missing") };
        d.Need("b32");
        return new FunctionOp(d.Target(0, PtxType.B32), d.Source(1, PtxType.B32), d.Source(2, PtxType.B32), (a, b) =>
        {
            ulong at = clamp ? Math.Min(a, 32) : a & 31, width = clamp ? Math.Min(b, 32) : b & 31;
            return (uint)(((1UL << (int)width) - 1) << (int)at);
        });
    }

    private static PtxOp Lookup(PtxDecoder d)
    {
        d.Count(5);
        d.Need("b32");
        if (d.Operands[4] is not { Kind: PtxOperandKind.Integer, Bits: <= 255 } table) throw d.Error("the table is no number from 0 to 255");
        return new TernaryFunctionOp(d.Target(0, PtxType.B32), d.Source(1, PtxType.B32), d.Source(2, PtxType.B32), d.Source(3, PtxType.B32), (a, b, c) =>
        {
            ulong result = 0;
            for (int row = 0; row < 8; row++)
                if ((table.Bits >> row & 1) != 0) result |= ((row & 4) != 0 ? a : ~a) & ((row & 2) != 0 ? b : ~b) & ((row & 1) != 0 ? c : ~c);
            return (uint)result;
        });
    }

    private static PtxOp Permute(PtxDecoder d)
    {
        d.Count(4);
        d.Need("b32");
        if (d.HasMore) throw d.Error("only the plain form is known");
        return new TernaryFunctionOp(d.Target(0, PtxType.B32), d.Source(1, PtxType.B32), d.Source(2, PtxType.B32), d.Source(3, PtxType.B32), (a, b, choice) =>
        {
            ulong both = b << 32 | a, result = 0;
            for (int i = 0; i < 4; i++)
            {
                int which = (int)(choice >> (4 * i)) & 0xF;
                ulong part = both >> (8 * (which & 7)) & 0xFF;
                if ((which & 8) != 0) part = (part & 0x80) != 0 ? 0xFFu : 0;
                result |= part << (8 * i);
            }
            return result;
        });
    }

    private readonly struct And : IBinaryLane
    {
        public static ulong Apply(ulong a, ulong b) => a & b;
    }

    private readonly struct Or : IBinaryLane
    {
        public static ulong Apply(ulong a, ulong b) => a | b;
    }

    private readonly struct Xor : IBinaryLane
    {
        public static ulong Apply(ulong a, ulong b) => a ^ b;
    }

    private readonly unsafe struct ShiftLeft<T> : IBinaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b) => b >= (ulong)sizeof(T) * 8 ? 0 : Bits.Of(Bits.To<T>(a) << (int)b);
    }

    private readonly unsafe struct ShiftRight<T> : IBinaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b) =>
            b < (ulong)sizeof(T) * 8 ? Bits.Of(Bits.To<T>(a) >> (int)b) : T.IsNegative(Bits.To<T>(a)) ? Bits.Of(unchecked(T.Zero - T.One)) : 0;
    }

    private sealed class PredicateLogic(int target, PredicateSource a, PredicateSource b, Func<uint, uint, uint> function) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask) => warp.SetPredicate(target, mask, function(a.Read(warp, mask), b.Read(warp, mask)));
    }

    private sealed unsafe class BitInsertOp(int target, int field, int into, int start, int length, int size) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* f = warp.Read(field, mask), a = warp.Read(into, mask), s = warp.Read(start, mask), l = warp.Read(length, mask), y = warp.Write(target, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask), at = (int)(s[lane] & 0xFF), count = (int)(l[lane] & 0xFF);
                ulong result = a[lane];
                for (int i = 0; i < count && at + i < size; i++) result = (result & ~(1UL << (at + i))) | (f[lane] >> i & 1) << (at + i);
                y[lane] = result;
            }
        }
    }
}

/// <summary>A function of three numbers that is slow anyway.</summary>
internal sealed unsafe class TernaryFunctionOp(int target, int a, int b, int c, Func<ulong, ulong, ulong, ulong> function) : PtxPlainOp
{
    internal override void Run(PtxWarp warp, uint mask)
    {
        ulong* x = warp.Read(a, mask), y = warp.Read(b, mask), z = warp.Read(c, mask), w = warp.Write(target, mask);
        for (; mask != 0; mask &= mask - 1)
        {
            int lane = BitOperations.TrailingZeroCount(mask);
            w[lane] = function(x[lane], y[lane], z[lane]);
        }
    }
}
