namespace Delora.Kernels;

/// <summary>One value: the tail of an array.</summary>
internal readonly unsafe struct V1(float value) : ISimd<V1>
{
    public readonly float Value = value;

    public static int Count => 1;

    public static V1 Load(float* source) => new(*source);

    public static void Store(V1 value, float* destination) => *destination = value.Value;

    public static V1 Set(float value) => new(value);

    public static V1 MultiplyAdd(V1 a, V1 b, V1 c) => new(MathF.FusedMultiplyAdd(a.Value, b.Value, c.Value));

    public static V1 Max(V1 a, V1 b) => new(MathF.Max(a.Value, b.Value));

    public static V1 Abs(V1 a) => new(MathF.Abs(a.Value));

    public static V1 Sqrt(V1 a) => new(MathF.Sqrt(a.Value));

    public static V1 GreaterThan(V1 a, V1 b) => FromBits(a.Value > b.Value ? -1 : 0);

    public static V1 Select(V1 mask, V1 ifTrue, V1 ifFalse) => mask.Bits != 0 ? ifTrue : ifFalse;

    public static V1 Round(V1 a) => new(MathF.Round(a.Value));

    public static V1 SetBits(int bits) => FromBits(bits);

    public static V1 And(V1 a, V1 b) => FromBits(a.Bits & b.Bits);

    public static V1 Or(V1 a, V1 b) => FromBits(a.Bits | b.Bits);

    public static V1 ShiftLeft(V1 bits, int count) => FromBits(bits.Bits << count);

    public static V1 ShiftRight(V1 bits, int count) => FromBits(bits.Bits >> count);

    public static V1 AddBits(V1 a, V1 b) => FromBits(unchecked(a.Bits + b.Bits));

    public static V1 BitsToFloat(V1 bits) => new(bits.Bits);

    public static float Sum(V1 a) => a.Value;

    public static V1 operator +(V1 a, V1 b) => new(a.Value + b.Value);

    public static V1 operator -(V1 a, V1 b) => new(a.Value - b.Value);

    public static V1 operator *(V1 a, V1 b) => new(a.Value * b.Value);

    public static V1 operator /(V1 a, V1 b) => new(a.Value / b.Value);

    public static V1 operator -(V1 a) => new(-a.Value);

    private int Bits => BitConverter.SingleToInt32Bits(Value);

    private static V1 FromBits(int bits) => new(BitConverter.Int32BitsToSingle(bits));
}
