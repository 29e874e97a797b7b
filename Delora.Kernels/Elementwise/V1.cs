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

    public static V1 Min(V1 a, V1 b) => new(MathF.Min(a.Value, b.Value));

    public static V1 Abs(V1 a) => new(MathF.Abs(a.Value));

    public static V1 Sqrt(V1 a) => new(MathF.Sqrt(a.Value));

    public static V1 GreaterThan(V1 a, V1 b) => new(BitConverter.Int32BitsToSingle(a.Value > b.Value ? -1 : 0));

    public static V1 Select(V1 mask, V1 ifTrue, V1 ifFalse) => BitConverter.SingleToInt32Bits(mask.Value) != 0 ? ifTrue : ifFalse;

    public static float Sum(V1 a) => a.Value;

    public static V1 operator +(V1 a, V1 b) => new(a.Value + b.Value);

    public static V1 operator -(V1 a, V1 b) => new(a.Value - b.Value);

    public static V1 operator *(V1 a, V1 b) => new(a.Value * b.Value);

    public static V1 operator /(V1 a, V1 b) => new(a.Value / b.Value);

    public static V1 operator -(V1 a) => new(-a.Value);
}
