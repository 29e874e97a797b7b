using ILGPU;

namespace Delora.Kernels;

/// <summary>A sum of products of float32 values that keeps far more digits than float32. All zero bits are the empty sum.</summary>
internal interface IGpuSum<TSelf> where TSelf : unmanaged, IGpuSum<TSelf>
{
    /// <summary>sum + a·b.</summary>
    static abstract TSelf AddProduct(TSelf sum, float a, float b);

    static abstract TSelf Add(TSelf a, TSelf b);

    static abstract TSelf Multiply(TSelf a, TSelf b);

    /// <summary>Rounded to float32.</summary>
    static abstract float Value(TSelf sum);

    /// <summary>√max(sum, 0), rounded to float32; NaN stays NaN.</summary>
    static abstract float SquareRoot(TSelf sum);
}

/// <summary>Accumulates in float64.</summary>
internal readonly struct Float64Sum(double value) : IGpuSum<Float64Sum>
{
    private readonly double _value = value;

    public static Float64Sum AddProduct(Float64Sum sum, float a, float b) => new(sum._value + (double)a * b);

    public static Float64Sum Add(Float64Sum a, Float64Sum b) => new(a._value + b._value);

    public static Float64Sum Multiply(Float64Sum a, Float64Sum b) => new(a._value * b._value);

    public static float Value(Float64Sum sum) => (float)sum._value;

    public static float SquareRoot(Float64Sum sum) => sum._value < 0 ? 0f : (float)Math.Sqrt(sum._value);
}

/// <summary>
/// For OpenCL devices without float64: an unevaluated pair high + low of float32 (Dekker 1971), some 44 bits. Products are taken apart into
/// halves whose products are exact, so that a compiler that contracts a·b + c into one operation changes nothing.
/// </summary>
internal readonly struct Float32PairSum(float high, float low) : IGpuSum<Float32PairSum>
{
    private readonly float _high = high;
    private readonly float _low = low;

    public static Float32PairSum AddProduct(Float32PairSum sum, float a, float b)
    {
        float a0 = Upper(a), a1 = a - a0, b0 = Upper(b), b1 = b - b0;
        return Plus(Plus(Plus(Plus(sum, a0 * b0), a0 * b1), a1 * b0), a1 * b1);
    }

    public static Float32PairSum Add(Float32PairSum a, Float32PairSum b) => Plus(Plus(a, b._high), b._low);

    public static Float32PairSum Multiply(Float32PairSum a, Float32PairSum b) =>
        AddProduct(new(a._high * b._low + a._low * b._high, 0), a._high, b._high);

    public static float Value(Float32PairSum sum) => sum._high + sum._low;

    public static float SquareRoot(Float32PairSum sum)
    {
        float value = sum._high + sum._low;
        return value < 0 ? 0f : MathF.Sqrt(value);
    }

    private static Float32PairSum Plus(Float32PairSum sum, float term)
    {
        float high = sum._high + term;
        float part = high - sum._high;
        float low = sum._low + (sum._high - (high - part) + (term - part));
        float total = high + low;
        return new(total, low - (total - high));
    }

    /// <summary>The upper 12 bits of the fraction; what is left has 12 bits as well.</summary>
    private static float Upper(float value) => Interop.IntAsFloat(Interop.FloatAsInt(value) & 0xFFFF_F000u);
}
