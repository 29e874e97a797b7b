using System.Runtime.Intrinsics;

namespace Delora.Kernels;

/// <summary>8 values in a 256.</summary>
internal readonly unsafe struct V8(Vector256<float> value) : ISimd<V8>
{
    public readonly Vector256<float> Value = value;

    public static int Count => 8;

    public static V8 Load(float* source) => new(Vector256.Load(source));

    public static void Store(V8 value, float* destination) => value.Value.Store(destination);

    public static V8 Set(float value) => new(Vector256.Create(value));

    public static V8 MultiplyAdd(V8 a, V8 b, V8 c) => new(Vector256.FusedMultiplyAdd(a.Value, b.Value, c.Value));

    public static V8 Max(V8 a, V8 b) => new(Vector256.Max(a.Value, b.Value));

    public static V8 Abs(V8 a) => new(Vector256.Abs(a.Value));

    public static V8 Sqrt(V8 a) => new(Vector256.Sqrt(a.Value));

    public static V8 GreaterThan(V8 a, V8 b) => new(Vector256.GreaterThan(a.Value, b.Value));

    public static V8 Select(V8 mask, V8 ifTrue, V8 ifFalse) => new(Vector256.ConditionalSelect(mask.Value, ifTrue.Value, ifFalse.Value));

    public static V8 Round(V8 a) => new(Vector256.Round(a.Value));

    public static V8 SetBits(int bits) => new(Vector256.Create(bits).AsSingle());

    public static V8 And(V8 a, V8 b) => new(Vector256.BitwiseAnd(a.Value, b.Value));

    public static V8 Or(V8 a, V8 b) => new(Vector256.BitwiseOr(a.Value, b.Value));

    public static V8 ShiftLeft(V8 bits, int count) => new(Vector256.ShiftLeft(bits.Value.AsInt32(), count).AsSingle());

    public static V8 ShiftRight(V8 bits, int count) => new(Vector256.ShiftRightArithmetic(bits.Value.AsInt32(), count).AsSingle());

    public static V8 AddBits(V8 a, V8 b) => new((a.Value.AsInt32() + b.Value.AsInt32()).AsSingle());

    public static V8 BitsToFloat(V8 bits) => new(Vector256.ConvertToSingle(bits.Value.AsInt32()));

    public static float Sum(V8 a) => Vector256.Sum(a.Value);

    public static V8 operator +(V8 a, V8 b) => new(a.Value + b.Value);

    public static V8 operator -(V8 a, V8 b) => new(a.Value - b.Value);

    public static V8 operator *(V8 a, V8 b) => new(a.Value * b.Value);

    public static V8 operator /(V8 a, V8 b) => new(a.Value / b.Value);

    public static V8 operator -(V8 a) => new(-a.Value);
}
