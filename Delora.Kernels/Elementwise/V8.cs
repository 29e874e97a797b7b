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

    public static V8 Min(V8 a, V8 b) => new(Vector256.Min(a.Value, b.Value));

    public static V8 Abs(V8 a) => new(Vector256.Abs(a.Value));

    public static V8 Sqrt(V8 a) => new(Vector256.Sqrt(a.Value));

    public static V8 GreaterThan(V8 a, V8 b) => new(Vector256.GreaterThan(a.Value, b.Value));

    public static V8 Select(V8 mask, V8 ifTrue, V8 ifFalse) => new(Vector256.ConditionalSelect(mask.Value, ifTrue.Value, ifFalse.Value));

    public static float Sum(V8 a) => Vector256.Sum(a.Value);

    public static V8 operator +(V8 a, V8 b) => new(a.Value + b.Value);

    public static V8 operator -(V8 a, V8 b) => new(a.Value - b.Value);

    public static V8 operator *(V8 a, V8 b) => new(a.Value * b.Value);

    public static V8 operator /(V8 a, V8 b) => new(a.Value / b.Value);

    public static V8 operator -(V8 a) => new(-a.Value);
}
