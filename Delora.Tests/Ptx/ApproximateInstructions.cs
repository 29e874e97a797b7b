namespace Delora.Tests.Ptx;

/// <summary>The approximate functions. The machine computes them in float64 and rounds: within the error that PTX allows, not with the card's digits.</summary>
internal static class ApproximateInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() =>
        new[] { "ex2", "lg2", "sin", "cos", "tanh", "rsqrt" }.Select(name => (name, (Func<PtxDecoder, PtxOp>)Decode));

    private static PtxOp Decode(PtxDecoder d)
    {
        d.Count(2);
        d.Need("approx");
        return One(d, d.Type());
    }

    /// <summary>A function of one number; <c>.approx</c> was taken.</summary>
    internal static PtxOp One(PtxDecoder d, PtxType type)
    {
        Func<double, double> function = d.Root switch
        {
            "ex2" => x => Math.Pow(2, x),
            "lg2" => Math.Log2,
            "sin" => Math.Sin,
            "cos" => Math.Cos,
            "tanh" => Math.Tanh,
            "rsqrt" => x => 1 / Math.Sqrt(x),
            "rcp" => x => 1 / x,
            "sqrt" => Math.Sqrt,
            _ => throw d.Error("not an approximate instruction"),
        };
        if (type == PtxType.F64)
        {
            if (d.Root is not ("rcp" or "rsqrt")) throw d.Error("there is none for float64");
            if (d.Root == "rcp") d.Need("ftz");
            else d.Flag("ftz");
            return new FunctionOp(d.Target(0, type), d.Source(1, type), x => Bits.Of(function(Bits.Double(x))));
        }
        int target = d.Target(0, type), a = d.Source(1, type);
        if (type == PtxType.F32)
        {
            (Func<float, float> before, Func<float, float> after) = FloatInstructions.Mode(d);
            return new FunctionOp(target, a, x => Bits.Of(after((float)function(before(Bits.Single(x))))));
        }
        if (d.Root is not ("ex2" or "tanh")) throw d.Error("there is none for this type");
        return type switch
        {
            PtxType.F16 => new FunctionOp(target, a, Of<Float16Format>(function)),
            PtxType.Bf16 => new FunctionOp(target, a, Of<BFloat16Format>(function, d.Root == "ex2" && Flushes(d))),
            PtxType.F16x2 => new FunctionOp(target, a, Pair(Of<Float16Format>(function))),
            PtxType.Bf16x2 => new FunctionOp(target, a, Pair(Of<BFloat16Format>(function, d.Root == "ex2" && Flushes(d)))),
            _ => throw d.Error("the type is not known here"),
        };
    }

    private static bool Flushes(PtxDecoder d)
    {
        d.Need("ftz");
        return true;
    }

    private static Func<ulong, ulong> Of<TFormat>(Func<double, double> function, bool flushes = false) where TFormat : struct, IFloatFormat => x =>
    {
        float value = TFormat.Read(x);
        return TFormat.Write((float)function(flushes ? FlushToZero.In(value) : value));
    };

    private static Func<ulong, ulong> Pair(Func<ulong, ulong> one) => x => one(x & 0xFFFF) | one(x >> 16) << 16;

    /// <summary>div.approx and div.full; the modifier was taken.</summary>
    internal static PtxOp Divide(PtxDecoder d, PtxType type)
    {
        if (type != PtxType.F32) throw d.Error("there is none for this type");
        (Func<float, float> before, Func<float, float> after) = FloatInstructions.Mode(d);
        return new FunctionOp(
            d.Target(0, type), d.Source(1, type), d.Source(2, type),
            (x, y) => Bits.Of(after((float)((double)before(Bits.Single(x)) / before(Bits.Single(y))))));
    }
}
