using System.Runtime.CompilerServices;

namespace Delora.Tests.Ptx;

/// <summary>How a float of 16 or 32 bits lies in a register; computing is done in float32.</summary>
internal interface IFloatFormat
{
    static abstract float Read(ulong bits);

    /// <summary>Rounds to nearest, ties to even.</summary>
    static abstract ulong Write(float value);

    /// <summary>Rounds a value of more digits, which was rounded to odd when it was cut to float64.</summary>
    static abstract ulong Write(double value);
}

internal readonly struct Float32Format : IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Read(ulong bits) => Bits.Single(bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Write(float value) => Bits.Of(value);

    public static ulong Write(double value) => Bits.Of((float)value);
}

internal readonly struct Float16Format : IFloatFormat
{
    public static float Read(ulong bits) => (float)BitConverter.UInt16BitsToHalf((ushort)bits);

    public static ulong Write(float value) => float.IsNaN(value) ? 0x7FFFu : BitConverter.HalfToUInt16Bits((Half)value);

    public static ulong Write(double value) => double.IsNaN(value) ? 0x7FFFu : BitConverter.HalfToUInt16Bits((Half)value);
}

internal readonly struct BFloat16Format : IFloatFormat
{
    public static float Read(ulong bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    public static ulong Write(float value)
    {
        if (float.IsNaN(value)) return 0x7FFF;
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    }

    public static ulong Write(double value) => Write(FloatRounding.ToOdd(value));
}

/// <summary>How a float operation rounds and what it does to subnormal numbers and to its result.</summary>
internal interface IFloatMode
{
    static abstract float In(float value);

    static abstract float Out(float value);
}

internal readonly struct Plain : IFloatMode
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float In(float value) => value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Out(float value) => value;
}

/// <summary><c>.ftz</c>: subnormal operands and results become zeros of the same sign.</summary>
internal readonly struct FlushToZero : IFloatMode
{
    public static float In(float value) => float.IsSubnormal(value) ? MathF.CopySign(0, value) : value;

    public static float Out(float value) => In(value);
}

/// <summary><c>.sat</c>: results are clamped to [0, 1], NaN becomes 0.</summary>
internal readonly struct Saturate : IFloatMode
{
    public static float In(float value) => value;

    public static float Out(float value) => value > 0 ? Math.Min(value, 1) : 0;
}

internal readonly struct FlushAndSaturate : IFloatMode
{
    public static float In(float value) => FlushToZero.In(value);

    public static float Out(float value) => Saturate.Out(FlushToZero.In(value));
}

/// <summary><c>.relu</c>: negative results and NaN's sign are dropped; NaN stays.</summary>
internal readonly struct Relu : IFloatMode
{
    public static float In(float value) => value;

    public static float Out(float value) => float.IsNaN(value) ? float.NaN : value > 0 ? value : 0;
}

/// <summary>Rounding in the ways of PTX.</summary>
internal static class FloatRounding
{
    /// <summary>The exact a + b as a rounded sum and its error.</summary>
    internal static (double Sum, double Error) TwoSum(double a, double b)
    {
        double sum = a + b, part = sum - a;
        return (sum, (a - (sum - part)) + (b - part));
    }

    /// <summary>The exact a·b + c, of float32 or narrower, as a sum and its error: the product is exact in float64.</summary>
    internal static (double Sum, double Error) ProductSum(float a, float b, float c) => TwoSum((double)a * b, c);

    /// <summary>The exact value rounded to float64 such that rounding it again to fewer digits is right: to odd.</summary>
    internal static double ToOdd(double sum, double error)
    {
        if (error == 0 || !double.IsFinite(sum)) return sum;
        long bits = BitConverter.DoubleToInt64Bits(sum);
        if ((bits & 1) != 0) return sum;
        return error > 0 == sum >= 0 ? BitConverter.Int64BitsToDouble(bits + 1) : BitConverter.Int64BitsToDouble(bits - 1);
    }

    /// <summary>A float64 rounded to float32 towards the neighbour with an odd last bit, where it lies between two.</summary>
    internal static float ToOdd(double value)
    {
        float nearest = (float)value;
        if (!float.IsFinite(nearest) || nearest == value || (BitConverter.SingleToUInt32Bits(nearest) & 1) != 0) return nearest;
        return nearest < value ? MathF.BitIncrement(nearest) : MathF.BitDecrement(nearest);
    }

    /// <summary>sum + error rounded to float32 as a modifier says: rn, rz, rm (down) or rp (up).</summary>
    internal static float Round(double sum, double error, string mode)
    {
        float nearest = (float)ToOdd(sum, error);
        if (mode == "rn" || double.IsNaN(sum) || double.IsInfinity(sum)) return nearest;
        // Which side of the exact value the nearest one lies on.
        double difference = nearest - sum;
        int side = difference != 0 ? Math.Sign(difference) : Math.Sign(-error);
        bool down = mode == "rm" || (mode == "rz" && sum > 0), up = mode == "rp" || (mode == "rz" && sum < 0);
        if (side > 0 && down) return MathF.BitDecrement(nearest);
        if (side < 0 && up) return MathF.BitIncrement(nearest);
        return nearest;
    }
}
