using System.Runtime.CompilerServices;

namespace Delora.Tests.Ptx;

/// <summary>
/// Arithmetic of floats, rounded as IEEE 754 says (PTX ISA, "Floating-Point Instructions" and "Half Precision Floating-Point Instructions"). float16 and
/// bfloat16 are computed in more digits and rounded once.
/// </summary>
internal static class FloatInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() =>
    [
        ("fma", d => Three(d, d.Type())),
        ("sqrt", d => One(d, d.Type())),
        ("rcp", d => One(d, d.Type())),
        ("copysign", d => Two(d, d.Type())),
    ];

    /// <summary>abs, neg, sqrt, rcp.</summary>
    internal static PtxOp One(PtxDecoder d, PtxType type)
    {
        d.Count(2);
        if (d.Flag("approx")) return ApproximateInstructions.One(d, type);
        string? rounding = d.OneOf("rn", "rz", "rm", "rp");
        Type lane = d.Root switch
        {
            "abs" => typeof(Absolute),
            "neg" => typeof(Negate),
            "sqrt" => typeof(SquareRoot),
            "rcp" => typeof(Reciprocal),
            _ => throw d.Error("not an instruction of floats"),
        };
        if ((rounding is null) != (d.Root is "abs" or "neg")) throw d.Error("a rounding mode (or .approx) is missing, or does not belong here");
        if (rounding is not (null or "rn")) throw d.Error("only .rn is known here");
        Type shape = Shape(d, type, typeof(OneSingle<,,>), typeof(OneDouble<>), typeof(OnePair<>), lane);
        return PtxDecoder.Make(typeof(UnaryOp<>), [shape], d.Target(0, type), d.Source(1, type));
    }

    /// <summary>add, sub, mul, div, min, max, copysign.</summary>
    internal static PtxOp Two(PtxDecoder d, PtxType type)
    {
        d.Count(3);
        if (d.Root == "div" && (d.Flag("approx") || d.Flag("full"))) return ApproximateInstructions.Divide(d, type);
        string rounding = d.OneOf("rn", "rz", "rm", "rp") ?? "rn";
        bool nan = d.Root is "min" or "max" && d.Flag("NaN");
        Type lane = d.Root switch
        {
            "add" => typeof(Add),
            "sub" => typeof(Subtract),
            "mul" => typeof(Multiply),
            "div" => typeof(Divide),
            "min" => nan ? typeof(MinNaN) : typeof(Min),
            "max" => nan ? typeof(MaxNaN) : typeof(Max),
            "copysign" => typeof(CopySign),
            _ => throw d.Error("not an instruction of floats"),
        };
        int target = d.Target(0, type), a = d.Source(1, type), b = d.Source(2, type);
        if (rounding == "rn")
            return PtxDecoder.Make(typeof(BinaryOp<>), [Shape(d, type, typeof(TwoSingle<,,>), typeof(TwoDouble<>), typeof(TwoPair<>), lane)], target, a, b);
        Func<float, float, (double, double)> exact = d.Root switch
        {
            "add" => (x, y) => FloatRounding.TwoSum(x, y),
            "sub" => (x, y) => FloatRounding.TwoSum(x, -y),
            "mul" => (x, y) => ((double)x * y, 0),
            _ => throw d.Error("only .rn is known here"),
        };
        if (type != PtxType.F32) throw d.Error("only .rn is known for this type");
        (Func<float, float> before, Func<float, float> after) = Mode(d);
        return new FunctionOp(target, a, b, (x, y) =>
        {
            (double sum, double error) = exact(before(Bits.Single(x)), before(Bits.Single(y)));
            return Bits.Of(after(FloatRounding.Round(sum, error, rounding)));
        });
    }

    /// <summary>fma and mad.</summary>
    internal static PtxOp Three(PtxDecoder d, PtxType type)
    {
        d.Count(4);
        string? rounding = d.OneOf("rn", "rz", "rm", "rp");
        if (rounding is null) throw d.Error("the rounding mode is missing");
        if (rounding != "rn") throw d.Error("only .rn is known here");
        Type lane = Shape(d, type, typeof(Fused<,>), typeof(FusedDouble), typeof(ThreePair<>), null);
        return PtxDecoder.Make(typeof(TernaryOp<>), [lane], d.Target(0, type), d.Source(1, type), d.Source(2, type), d.Source(3, type));
    }

    /// <summary>Reads the modifiers <c>.ftz</c> and <c>.sat</c> as functions of operands and results.</summary>
    internal static (Func<float, float> Before, Func<float, float> After) Mode(PtxDecoder d)
    {
        bool flush = d.Flag("ftz"), saturate = d.Flag("sat");
        Func<float, float> before = flush ? FlushToZero.In : value => value;
        return (before, saturate ? value => Saturate.Out(before(value)) : before);
    }

    private static Type Shape(PtxDecoder d, PtxType type, Type single, Type twice, Type pair, Type? lane)
    {
        if (type == PtxType.F64) return lane is null ? twice : twice.MakeGenericType(lane);
        bool flush = d.Flag("ftz"), saturate = d.Flag("sat"), relu = d.Flag("relu");
        if (relu && (flush || saturate)) throw d.Error(".relu stands alone here");
        Type mode = relu ? typeof(Relu) : (flush, saturate) switch
        {
            (false, false) => typeof(Plain),
            (true, false) => typeof(FlushToZero),
            (false, true) => typeof(Saturate),
            _ => typeof(FlushAndSaturate),
        };
        Type format = type switch
        {
            PtxType.F32 => typeof(Float32Format),
            PtxType.F16 or PtxType.F16x2 => typeof(Float16Format),
            PtxType.Bf16 or PtxType.Bf16x2 => typeof(BFloat16Format),
            _ => throw d.Error("the type is not known here"),
        };
        if (flush && type is PtxType.Bf16 or PtxType.Bf16x2) throw d.Error("bfloat16 has no .ftz");
        // The subnormal numbers of float16 are normal ones of float32.
        if (flush && type is PtxType.F16 or PtxType.F16x2) throw d.Error(".ftz of float16 is not known");
        Type made = lane is null ? single.MakeGenericType(format, mode) : single.MakeGenericType(lane, format, mode);
        return type is PtxType.F16x2 or PtxType.Bf16x2 ? pair.MakeGenericType(made) : made;
    }

    private interface IOne
    {
        static abstract float Apply(float a);
        static abstract double Apply(double a);
    }

    private interface ITwo
    {
        static abstract float Apply(float a, float b);
        static abstract double Apply(double a, double b);
    }

    private readonly struct OneSingle<TLane, TFormat, TMode> : IUnaryLane
        where TLane : struct, IOne where TFormat : struct, IFloatFormat where TMode : struct, IFloatMode
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Apply(ulong a) => TFormat.Write(TMode.Out(TLane.Apply(TMode.In(TFormat.Read(a)))));
    }

    private readonly struct OneDouble<TLane> : IUnaryLane where TLane : struct, IOne
    {
        public static ulong Apply(ulong a) => Bits.Of(TLane.Apply(Bits.Double(a)));
    }

    private readonly struct OnePair<TLane> : IUnaryLane where TLane : struct, IUnaryLane
    {
        public static ulong Apply(ulong a) => TLane.Apply(a & 0xFFFF) | TLane.Apply(a >> 16) << 16;
    }

    private readonly struct TwoSingle<TLane, TFormat, TMode> : IBinaryLane
        where TLane : struct, ITwo where TFormat : struct, IFloatFormat where TMode : struct, IFloatMode
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Apply(ulong a, ulong b) => TFormat.Write(TMode.Out(TLane.Apply(TMode.In(TFormat.Read(a)), TMode.In(TFormat.Read(b)))));
    }

    private readonly struct TwoDouble<TLane> : IBinaryLane where TLane : struct, ITwo
    {
        public static ulong Apply(ulong a, ulong b) => Bits.Of(TLane.Apply(Bits.Double(a), Bits.Double(b)));
    }

    private readonly struct TwoPair<TLane> : IBinaryLane where TLane : struct, IBinaryLane
    {
        public static ulong Apply(ulong a, ulong b) => TLane.Apply(a & 0xFFFF, b & 0xFFFF) | TLane.Apply(a >> 16, b >> 16) << 16;
    }

    private readonly struct ThreePair<TLane> : ITernaryLane where TLane : struct, ITernaryLane
    {
        public static ulong Apply(ulong a, ulong b, ulong c) =>
            TLane.Apply(a & 0xFFFF, b & 0xFFFF, c & 0xFFFF) | TLane.Apply(a >> 16, b >> 16, c >> 16) << 16;
    }

    private readonly struct Fused<TFormat, TMode> : ITernaryLane where TFormat : struct, IFloatFormat where TMode : struct, IFloatMode
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Apply(ulong a, ulong b, ulong c)
        {
            float x = TMode.In(TFormat.Read(a)), y = TMode.In(TFormat.Read(b)), z = TMode.In(TFormat.Read(c));
            if (typeof(TFormat) == typeof(Float32Format)) return Bits.Of(TMode.Out(MathF.FusedMultiplyAdd(x, y, z)));
            (double sum, double error) = FloatRounding.ProductSum(x, y, z);
            ulong rounded = TFormat.Write(FloatRounding.ToOdd(sum, error));
            return typeof(TMode) == typeof(Plain) ? rounded : TFormat.Write(TMode.Out(TFormat.Read(rounded)));
        }
    }

    private readonly struct FusedDouble : ITernaryLane
    {
        public static ulong Apply(ulong a, ulong b, ulong c) => Bits.Of(Math.FusedMultiplyAdd(Bits.Double(a), Bits.Double(b), Bits.Double(c)));
    }

    private readonly struct Absolute : IOne
    {
        public static float Apply(float a) => MathF.Abs(a);
        public static double Apply(double a) => Math.Abs(a);
    }

    private readonly struct Negate : IOne
    {
        public static float Apply(float a) => -a;
        public static double Apply(double a) => -a;
    }

    private readonly struct SquareRoot : IOne
    {
        public static float Apply(float a) => MathF.Sqrt(a);
        public static double Apply(double a) => Math.Sqrt(a);
    }

    private readonly struct Reciprocal : IOne
    {
        public static float Apply(float a) => 1 / a;
        public static double Apply(double a) => 1 / a;
    }

    private readonly struct Add : ITwo
    {
        public static float Apply(float a, float b) => a + b;
        public static double Apply(double a, double b) => a + b;
    }

    private readonly struct Subtract : ITwo
    {
        public static float Apply(float a, float b) => a - b;
        public static double Apply(double a, double b) => a - b;
    }

    private readonly struct Multiply : ITwo
    {
        public static float Apply(float a, float b) => a * b;
        public static double Apply(double a, double b) => a * b;
    }

    private readonly struct Divide : ITwo
    {
        public static float Apply(float a, float b) => a / b;
        public static double Apply(double a, double b) => a / b;
    }

    // Of a number and NaN the number is taken.
    private readonly struct Min : ITwo
    {
        public static float Apply(float a, float b) => float.MinNumber(a, b);
        public static double Apply(double a, double b) => double.MinNumber(a, b);
    }

    private readonly struct Max : ITwo
    {
        public static float Apply(float a, float b) => float.MaxNumber(a, b);
        public static double Apply(double a, double b) => double.MaxNumber(a, b);
    }

    private readonly struct MinNaN : ITwo
    {
        public static float Apply(float a, float b) => MathF.Min(a, b);
        public static double Apply(double a, double b) => Math.Min(a, b);
    }

    private readonly struct MaxNaN : ITwo
    {
        public static float Apply(float a, float b) => MathF.Max(a, b);
        public static double Apply(double a, double b) => Math.Max(a, b);
    }

    // The sign is that of the first operand, as PTX has it.
    private readonly struct CopySign : ITwo
    {
        public static float Apply(float a, float b) => MathF.CopySign(b, a);
        public static double Apply(double a, double b) => Math.CopySign(b, a);
    }
}
