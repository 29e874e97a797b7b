using System.Runtime.Intrinsics;

namespace Delora.Kernels;

/// <summary>16 values in a 512.</summary>
internal readonly unsafe struct V16(Vector512<float> value) : ISimd<V16>
{
    public readonly Vector512<float> Value = value;

    public static int Count => 16;

    public static V16 Load(float* source) => new(Vector512.Load(source));

    public static void Store(V16 value, float* destination) => value.Value.Store(destination);

    public static V16 Set(float value) => new(Vector512.Create(value));

    public static V16 MultiplyAdd(V16 a, V16 b, V16 c) => new(Vector512.FusedMultiplyAdd(a.Value, b.Value, c.Value));

    public static V16 Max(V16 a, V16 b) => new(Vector512.Max(a.Value, b.Value));

    public static V16 Abs(V16 a) => new(Vector512.Abs(a.Value));

    public static V16 Sqrt(V16 a) => new(Vector512.Sqrt(a.Value));

    public static V16 GreaterThan(V16 a, V16 b) => new(Vector512.GreaterThan(a.Value, b.Value));

    public static V16 Select(V16 mask, V16 ifTrue, V16 ifFalse) =>
        new(Vector512.ConditionalSelect(mask.Value, ifTrue.Value, ifFalse.Value));

    public static V16 Round(V16 a) => new(Vector512.Round(a.Value));

    public static V16 SetBits(int bits) => new(Vector512.Create(bits).AsSingle());

    public static V16 And(V16 a, V16 b) => new(Vector512.BitwiseAnd(a.Value, b.Value));

    public static V16 Or(V16 a, V16 b) => new(Vector512.BitwiseOr(a.Value, b.Value));

    public static V16 ShiftLeft(V16 bits, int count) => new(Vector512.ShiftLeft(bits.Value.AsInt32(), count).AsSingle());

    public static V16 ShiftRight(V16 bits, int count) => new(Vector512.ShiftRightArithmetic(bits.Value.AsInt32(), count).AsSingle());

    public static V16 AddBits(V16 a, V16 b) => new((a.Value.AsInt32() + b.Value.AsInt32()).AsSingle());

    public static V16 BitsToFloat(V16 bits) => new(Vector512.ConvertToSingle(bits.Value.AsInt32()));

    public static float Sum(V16 a) => Vector512.Sum(a.Value);

    public static V16 operator +(V16 a, V16 b) => new(a.Value + b.Value);

    public static V16 operator -(V16 a, V16 b) => new(a.Value - b.Value);

    public static V16 operator *(V16 a, V16 b) => new(a.Value * b.Value);

    public static V16 operator /(V16 a, V16 b) => new(a.Value / b.Value);

    public static V16 operator -(V16 a) => new(-a.Value);
}
