using System.Runtime.Intrinsics;

namespace Delora.Kernels;

/// <summary>4 values in a 128.</summary>
internal readonly unsafe struct V4(Vector128<float> value) : ISimd<V4>
{
    public readonly Vector128<float> Value = value;

    public static int Count => 4;

    public static V4 Load(float* source) => new(Vector128.Load(source));

    public static void Store(V4 value, float* destination) => value.Value.Store(destination);

    public static V4 Set(float value) => new(Vector128.Create(value));

    public static V4 MultiplyAdd(V4 a, V4 b, V4 c) => new(Vector128.FusedMultiplyAdd(a.Value, b.Value, c.Value));

    public static V4 Max(V4 a, V4 b) => new(Vector128.Max(a.Value, b.Value));

    public static V4 Abs(V4 a) => new(Vector128.Abs(a.Value));

    public static V4 Sqrt(V4 a) => new(Vector128.Sqrt(a.Value));

    public static V4 GreaterThan(V4 a, V4 b) => new(Vector128.GreaterThan(a.Value, b.Value));

    public static V4 Select(V4 mask, V4 ifTrue, V4 ifFalse) => new(Vector128.ConditionalSelect(mask.Value, ifTrue.Value, ifFalse.Value));

    public static V4 Round(V4 a) => new(Vector128.Round(a.Value));

    public static V4 SetBits(int bits) => new(Vector128.Create(bits).AsSingle());

    public static V4 And(V4 a, V4 b) => new(Vector128.BitwiseAnd(a.Value, b.Value));

    public static V4 Or(V4 a, V4 b) => new(Vector128.BitwiseOr(a.Value, b.Value));

    public static V4 ShiftLeft(V4 bits, int count) => new(Vector128.ShiftLeft(bits.Value.AsInt32(), count).AsSingle());

    public static V4 ShiftRight(V4 bits, int count) => new(Vector128.ShiftRightArithmetic(bits.Value.AsInt32(), count).AsSingle());

    public static V4 AddBits(V4 a, V4 b) => new((a.Value.AsInt32() + b.Value.AsInt32()).AsSingle());

    public static V4 BitsToFloat(V4 bits) => new(Vector128.ConvertToSingle(bits.Value.AsInt32()));

    public static float Sum(V4 a) => Vector128.Sum(a.Value);

    public static V4 operator +(V4 a, V4 b) => new(a.Value + b.Value);

    public static V4 operator -(V4 a, V4 b) => new(a.Value - b.Value);

    public static V4 operator *(V4 a, V4 b) => new(a.Value * b.Value);

    public static V4 operator /(V4 a, V4 b) => new(a.Value / b.Value);

    public static V4 operator -(V4 a) => new(-a.Value);
}
