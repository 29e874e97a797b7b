using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>Conversions (PTX ISA, "cvt"): registers may be wider than the types, and results then are extended by the sign of the type.</summary>
internal static class ConvertInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() => [("cvt", Decode)];

    private static PtxOp Decode(PtxDecoder d)
    {
        string? rounding = d.OneOf("rni", "rzi", "rmi", "rpi", "rna", "rn", "rz", "rm", "rp");
        bool flush = d.Flag("ftz"), saturate = d.Flag("sat"), relu = d.Flag("relu");
        PtxType to = d.Type(), from = d.Type();
        if (to is PtxType.F16x2 or PtxType.Bf16x2)
        {
            d.Count(3);
            if (from != PtxType.F32 || rounding is not ("rn" or "rz") || flush || saturate) throw d.Error("the form of this conversion is not known");
            Func<double, ulong> half = Narrow(d, to == PtxType.F16x2 ? PtxType.F16 : PtxType.Bf16, rounding, relu);
            return new FunctionOp(
                d.Target(0, PtxType.B32), d.Source(1, from), d.Source(2, from), (high, low) => half(Bits.Single(high)) << 16 | half(Bits.Single(low)));
        }
        d.Count(2);
        int target = d.Target(0, Register(to), wide: true), source = d.Source(1, from, wide: true);
        if (flush && to != PtxType.F32 && from != PtxType.F32) throw d.Error(".ftz belongs to float32");
        if (relu && !(to is PtxType.F16 or PtxType.Bf16 or PtxType.Tf32)) throw d.Error(".relu belongs to the narrow floats");
        if (!to.IsFloat() && !from.IsFloat() && !saturate)
        {
            if (rounding is not null) throw d.Error("integers are not rounded");
            int size = d.RegisterSize(d.Operands[0], to);
            Type extended = size == to.Size() ? to.Clr() : (to.IsSigned() ? size == 8 ? PtxType.S64 : size == 4 ? PtxType.S32 : PtxType.S16
                : size == 8 ? PtxType.U64 : size == 4 ? PtxType.U32 : PtxType.U16).Clr();
            return PtxDecoder.Make(typeof(UnaryOp<>), [typeof(Resize<,,>).MakeGenericType(from.Clr(), to.Clr(), extended)], target, source);
        }
        Func<ulong, ulong> convert = (to.IsFloat(), from.IsFloat()) switch
        {
            (false, false) => IntegerToInteger(d, from, to, rounding),
            (true, false) => IntegerToFloat(d, from, to, rounding),
            (false, true) => FloatToInteger(d, from, to, rounding, flush),
            _ => FloatToFloat(d, from, to, rounding, flush, saturate, relu),
        };
        if (!to.IsFloat() && d.RegisterSize(d.Operands[0], to) != to.Size()) throw d.Error("a register that is wider than the type is not known here");
        return new FunctionOp(target, source, convert);
    }

    private static PtxType Register(PtxType type) => type switch
    {
        PtxType.Tf32 => PtxType.B32,
        PtxType.F16 or PtxType.Bf16 => PtxType.B16,
        _ => type,
    };

    private readonly struct Resize<TFrom, TTo, TRegister> : IUnaryLane
        where TFrom : unmanaged, IBinaryInteger<TFrom> where TTo : unmanaged, IBinaryInteger<TTo> where TRegister : unmanaged, IBinaryInteger<TRegister>
    {
        public static ulong Apply(ulong a) => Bits.Of(TRegister.CreateTruncating(TTo.CreateTruncating(Bits.To<TFrom>(a))));
    }

    private static Int128 Integer(ulong bits, PtxType type) => type switch
    {
        PtxType.S8 => (sbyte)bits,
        PtxType.S16 => (short)bits,
        PtxType.S32 => (int)bits,
        PtxType.S64 => (long)bits,
        _ => bits & (ulong.MaxValue >> (64 - 8 * type.Size())),
    };

    private static Int128 Clamp(Int128 value, PtxType type)
    {
        int size = 8 * type.Size();
        return type.IsSigned()
            ? Int128.Clamp(value, -(Int128.One << (size - 1)), (Int128.One << (size - 1)) - 1)
            : Int128.Clamp(value, 0, (Int128.One << size) - 1);
    }

    private static ulong Cut(Int128 value, PtxType type) => (ulong)(value & ulong.MaxValue) & (ulong.MaxValue >> (64 - 8 * type.Size()));

    private static Func<ulong, ulong> IntegerToInteger(PtxDecoder d, PtxType from, PtxType to, string? rounding) =>
        rounding is not null ? throw d.Error("integers are not rounded") : a => Cut(Clamp(Integer(a, from), to), to);

    private static Func<ulong, ulong> IntegerToFloat(PtxDecoder d, PtxType from, PtxType to, string? rounding)
    {
        if (rounding is not ("rn" or "rz" or "rm" or "rp")) throw d.Error("the rounding mode is missing");
        if (to == PtxType.F64 && rounding != "rn") throw d.Error("only .rn is known here");
        Func<ulong, (double, double)> split = a =>
        {
            Int128 value = Integer(a, from);
            double sum = (double)value;
            return (sum, (double)(value - (Int128)sum));
        };
        return to switch
        {
            PtxType.F64 => a => Bits.Of(split(a).Item1),
            PtxType.F32 => a => Bits.Of(FloatRounding.Round(split(a).Item1, split(a).Item2, rounding)),
            _ => Then(a => FloatRounding.ToOdd(split(a).Item1, split(a).Item2), Narrow(d, to, rounding, false)),
        };
    }

    private static Func<ulong, ulong> Then(Func<ulong, double> first, Func<double, ulong> second) => a => second(first(a));

    private static Func<ulong, double> Reader(PtxDecoder d, PtxType type, bool flush) => type switch
    {
        PtxType.F32 => flush ? a => FlushToZero.In(Bits.Single(a)) : a => Bits.Single(a),
        PtxType.F64 => Bits.Double,
        PtxType.F16 => a => Float16Format.Read(a & 0xFFFF),
        PtxType.Bf16 => a => BFloat16Format.Read(a & 0xFFFF),
        _ => throw d.Error("the type is not known here"),
    };

    private static Func<ulong, ulong> FloatToInteger(PtxDecoder d, PtxType from, PtxType to, string? rounding, bool flush)
    {
        Func<ulong, double> read = Reader(d, from, flush);
        Func<double, double> round = Integral(rounding) ?? throw d.Error("the rounding mode is missing");
        // Values beyond the range are clamped. NaN becomes zero, but for 64 bits on either side the highest bit.
        ulong nan = from == PtxType.F64 || to.Size() == 8 ? 1UL << (8 * to.Size() - 1) : 0;
        return a =>
        {
            double value = read(a);
            if (double.IsNaN(value)) return nan;
            double rounded = round(value);
            return Cut(Clamp(rounded >= 1e20 ? (Int128)1e20 : rounded <= -1e20 ? (Int128)(-1e20) : (Int128)rounded, to), to);
        };
    }

    private static Func<double, double>? Integral(string? rounding) => rounding switch
    {
        "rni" => value => Math.Round(value, MidpointRounding.ToEven),
        "rzi" => Math.Truncate,
        "rmi" => Math.Floor,
        "rpi" => Math.Ceiling,
        _ => null,
    };

    private static Func<ulong, ulong> FloatToFloat(PtxDecoder d, PtxType from, PtxType to, string? rounding, bool flush, bool saturate, bool relu)
    {
        Func<ulong, double> read = Reader(d, from, flush);
        Func<double, double>? integral = Integral(rounding);
        if (to == PtxType.Tf32)
        {
            if (from != PtxType.F32 || saturate) throw d.Error("the form of this conversion is not known");
            return ToTf32(d, rounding, relu);
        }
        bool narrows = to.Size() < from.Size() || (to.Size() == 2 && to != from);
        if (integral is not null ? to != from : narrows != rounding is not null) throw d.Error("the rounding mode is missing, or does not belong here");
        Func<double, double> between = value => integral is null ? value : integral(value);
        Func<double, double> bounded = saturate ? value => between(value) is > 0 and var kept ? Math.Min(kept, 1) : 0 : between;
        return to switch
        {
            PtxType.F64 => a => Bits.Of(bounded(read(a))),
            PtxType.F32 => a => Bits.Of(Flushed(FloatRounding.Round(bounded(read(a)), 0, narrows ? rounding! : "rn"))),
            _ => Then(a => bounded(read(a)), Narrow(d, to, narrows ? rounding! : "rn", relu)),
        };

        float Flushed(float value) => flush ? FlushToZero.Out(value) : value;
    }

    private static Func<ulong, ulong> ToTf32(PtxDecoder d, string? rounding, bool relu)
    {
        if (rounding is not ("rna" or "rn" or "rz")) throw d.Error("the rounding mode is not known here");
        return a =>
        {
            if (float.IsNaN(Bits.Single(a))) return 0x7FFFFFFF;
            if (relu && a >> 31 != 0) return 0;
            ulong half = rounding switch { "rna" => 0x1000UL, "rn" => 0x0FFF + (a >> 13 & 1), _ => 0 };
            return float.IsInfinity(Bits.Single(a)) ? a : (a + half) & 0xFFFFE000;
        };
    }

    /// <summary>Rounds to float16 or bfloat16, to nearest or towards zero. Values of more digits must have been rounded to odd.</summary>
    private static Func<double, ulong> Narrow(PtxDecoder d, PtxType type, string rounding, bool relu)
    {
        if (rounding is not ("rn" or "rz")) throw d.Error("the rounding mode is not known here");
        Func<double, ulong> write = type == PtxType.F16 ? Float16Format.Write : BFloat16Format.Write;
        Func<ulong, float> read = type == PtxType.F16 ? Float16Format.Read : BFloat16Format.Read;
        return value =>
        {
            if (relu && value <= 0) return 0;
            ulong bits = write(value);
            return rounding == "rz" && Math.Abs((double)read(bits)) > Math.Abs(value) ? bits - 1 : bits;
        };
    }
}
