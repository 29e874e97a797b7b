using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>
/// Arithmetic of integers (PTX ISA, "Integer Arithmetic Instructions"); where the type is a float, <see cref="FloatInstructions"/> takes over.
/// </summary>
internal static class ArithmeticInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() =>
    [
        ("add", d => TwoOrFloat(d, typeof(Add<>))),
        ("sub", d => TwoOrFloat(d, typeof(Subtract<>))),
        ("min", d => TwoOrFloat(d, typeof(Min<>))),
        ("max", d => TwoOrFloat(d, typeof(Max<>))),
        ("div", d => TwoOrFloat(d, typeof(Divide<>))),
        ("rem", d => Two(d, d.Type(), typeof(Remainder<>))),
        ("mul", d => Multiply(d, false)),
        ("mad", d => Multiply(d, true)),
        ("abs", d => OneOrFloat(d, typeof(Absolute<>))),
        ("neg", d => OneOrFloat(d, typeof(Negate<>))),
        ("sad", d => Three(d, typeof(SumOfDifference<>))),
    ];

    private static PtxOp TwoOrFloat(PtxDecoder d, Type lane)
    {
        PtxType type = d.Type();
        return type.IsFloat() ? FloatInstructions.Two(d, type) : Two(d, type, lane);
    }

    private static PtxOp OneOrFloat(PtxDecoder d, Type lane)
    {
        PtxType type = d.Type();
        if (type.IsFloat()) return FloatInstructions.One(d, type);
        d.Count(2);
        return PtxDecoder.Make(typeof(UnaryOp<>), [lane.MakeGenericType(Integer(d, type))], d.Target(0, type), d.Source(1, type));
    }

    private static PtxOp Two(PtxDecoder d, PtxType type, Type lane)
    {
        d.Count(3);
        if (type == PtxType.S32 && d.Flag("sat"))
            lane = lane == typeof(Add<>) ? typeof(AddSaturated<>)
                : lane == typeof(Subtract<>) ? typeof(SubtractSaturated<>) : throw d.Error("only sums are saturated");
        return PtxDecoder.Make(typeof(BinaryOp<>), [lane.MakeGenericType(Integer(d, type))], d.Target(0, type), d.Source(1, type), d.Source(2, type));
    }

    private static PtxOp Three(PtxDecoder d, Type lane)
    {
        d.Count(4);
        PtxType type = d.Type();
        return PtxDecoder.Make(
            typeof(TernaryOp<>), [lane.MakeGenericType(Integer(d, type))], d.Target(0, type), d.Source(1, type), d.Source(2, type), d.Source(3, type));
    }

    private static Type Integer(PtxDecoder d, PtxType type) =>
        type is PtxType.U16 or PtxType.S16 or PtxType.U32 or PtxType.S32 or PtxType.U64 or PtxType.S64
            ? type.Clr() : throw d.Error($".{type.ToString().ToLowerInvariant()} is no integer type of this instruction");

    private static PtxOp Multiply(PtxDecoder d, bool adds)
    {
        PtxType type = d.Type();
        if (type.IsFloat()) return adds ? FloatInstructions.Three(d, type) : FloatInstructions.Two(d, type);
        d.Count(adds ? 4 : 3);
        string which = d.OneOf("lo", "hi", "wide") ?? throw d.Error("one of .lo, .hi and .wide is missing");
        Type narrow = Integer(d, type);
        PtxType result = which == "wide" ? Wide(d, type) : type;
        Type lane = which switch
        {
            "lo" => (adds ? typeof(MultiplyAddLow<>) : typeof(MultiplyLow<>)).MakeGenericType(narrow),
            "hi" => (adds ? typeof(MultiplyAddHigh<>) : typeof(MultiplyHigh<>)).MakeGenericType(narrow),
            _ => (adds ? typeof(MultiplyAddWide<,>) : typeof(MultiplyWide<,>)).MakeGenericType(narrow, result.Clr()),
        };
        return adds
            ? PtxDecoder.Make(typeof(TernaryOp<>), [lane], d.Target(0, result), d.Source(1, type), d.Source(2, type), d.Source(3, result))
            : PtxDecoder.Make(typeof(BinaryOp<>), [lane], d.Target(0, result), d.Source(1, type), d.Source(2, type));
    }

    private static PtxType Wide(PtxDecoder d, PtxType type) => type switch
    {
        PtxType.U16 => PtxType.U32,
        PtxType.S16 => PtxType.S32,
        PtxType.U32 => PtxType.U64,
        PtxType.S32 => PtxType.S64,
        _ => throw d.Error("there is no wider type"),
    };

    private readonly struct Add<T> : IBinaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b) => Bits.Of(unchecked(Bits.To<T>(a) + Bits.To<T>(b)));
    }

    private readonly struct Subtract<T> : IBinaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b) => Bits.Of(unchecked(Bits.To<T>(a) - Bits.To<T>(b)));
    }

    private readonly struct AddSaturated<T> : IBinaryLane where T : unmanaged
    {
        public static ulong Apply(ulong a, ulong b) => (uint)(int)Math.Clamp((long)(int)a + (int)b, int.MinValue, int.MaxValue);
    }

    private readonly struct SubtractSaturated<T> : IBinaryLane where T : unmanaged
    {
        public static ulong Apply(ulong a, ulong b) => (uint)(int)Math.Clamp((long)(int)a - (int)b, int.MinValue, int.MaxValue);
    }

    private readonly struct Min<T> : IBinaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b) => Bits.Of(T.Min(Bits.To<T>(a), Bits.To<T>(b)));
    }

    private readonly struct Max<T> : IBinaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b) => Bits.Of(T.Max(Bits.To<T>(a), Bits.To<T>(b)));
    }

    // A division by zero throws; the warp makes a fault of it: PTX leaves the value open.
    private readonly struct Divide<T> : IBinaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b)
        {
            (T x, T y) = (Bits.To<T>(a), Bits.To<T>(b));
            return Bits.Of(IsMinusOne(y) ? unchecked(T.Zero - x) : x / y);
        }
    }

    private readonly struct Remainder<T> : IBinaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b)
        {
            (T x, T y) = (Bits.To<T>(a), Bits.To<T>(b));
            return Bits.Of(IsMinusOne(y) ? T.Zero : x % y);
        }
    }

    private static bool IsMinusOne<T>(T value) where T : unmanaged, IBinaryInteger<T> => T.IsNegative(value) && value + T.One == T.Zero;

    private readonly struct Absolute<T> : IUnaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a) => Bits.Of(T.IsNegative(Bits.To<T>(a)) ? unchecked(T.Zero - Bits.To<T>(a)) : Bits.To<T>(a));
    }

    private readonly struct Negate<T> : IUnaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a) => Bits.Of(unchecked(T.Zero - Bits.To<T>(a)));
    }

    private readonly struct SumOfDifference<T> : ITernaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b, ulong c)
        {
            (T x, T y) = (Bits.To<T>(a), Bits.To<T>(b));
            return Bits.Of(unchecked(Bits.To<T>(c) + (x < y ? y - x : x - y)));
        }
    }

    private readonly struct MultiplyLow<T> : IBinaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b) => Bits.Of(unchecked(Bits.To<T>(a) * Bits.To<T>(b)));
    }

    private readonly struct MultiplyAddLow<T> : ITernaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b, ulong c) => Bits.Of(unchecked(Bits.To<T>(a) * Bits.To<T>(b) + Bits.To<T>(c)));
    }

    private static unsafe T High<T>(T a, T b) where T : unmanaged, IBinaryInteger<T> =>
        T.CreateTruncating((Int128.CreateTruncating(a) * Int128.CreateTruncating(b)) >> (8 * sizeof(T)));

    private readonly struct MultiplyHigh<T> : IBinaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b) => Bits.Of(High(Bits.To<T>(a), Bits.To<T>(b)));
    }

    private readonly struct MultiplyAddHigh<T> : ITernaryLane where T : unmanaged, IBinaryInteger<T>
    {
        public static ulong Apply(ulong a, ulong b, ulong c) => Bits.Of(unchecked(High(Bits.To<T>(a), Bits.To<T>(b)) + Bits.To<T>(c)));
    }

    private readonly struct MultiplyWide<T, TWide> : IBinaryLane where T : unmanaged, IBinaryInteger<T> where TWide : unmanaged, IBinaryInteger<TWide>
    {
        public static ulong Apply(ulong a, ulong b) =>
            Bits.Of(unchecked(TWide.CreateTruncating(Bits.To<T>(a)) * TWide.CreateTruncating(Bits.To<T>(b))));
    }

    private readonly struct MultiplyAddWide<T, TWide> : ITernaryLane where T : unmanaged, IBinaryInteger<T> where TWide : unmanaged, IBinaryInteger<TWide>
    {
        public static ulong Apply(ulong a, ulong b, ulong c) =>
            Bits.Of(unchecked(TWide.CreateTruncating(Bits.To<T>(a)) * TWide.CreateTruncating(Bits.To<T>(b)) + Bits.To<TWide>(c)));
    }
}
