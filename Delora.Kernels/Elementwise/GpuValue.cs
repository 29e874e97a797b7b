using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// One value inside an ILGPU kernel, so that the vector mathematics of <see cref="SimdMath"/> is the GPU's as well. The portable subset:
/// no FMA
/// intrinsic, no BCL bit casts. Memory is the kernel's business: views are read and written outside.
/// </summary>
internal readonly unsafe struct GpuValue(float value) : ISimd<GpuValue>
{
    public readonly float Value = value;

    public static int Count => 1;

    public static GpuValue Load(float* source) => throw new NotSupportedException("kernels read through views");

    public static void Store(GpuValue value, float* destination) => throw new NotSupportedException("kernels write through views");

    public static GpuValue Set(float value) => new(value);

    public static GpuValue MultiplyAdd(GpuValue a, GpuValue b, GpuValue c) => new(a.Value * b.Value + c.Value);

    // By the difference: where the left operand of a comparison is a constant, ILGPU 1.5.3 swaps the two and makes the comparison one that holds for NaN.
    public static GpuValue Max(GpuValue a, GpuValue b) => a.Value - b.Value > 0 || float.IsNaN(a.Value) ? a : b;

    public static GpuValue Abs(GpuValue a) => new(MathF.Abs(a.Value));

    public static GpuValue Sqrt(GpuValue a) => new(MathF.Sqrt(a.Value));

    public static GpuValue GreaterThan(GpuValue a, GpuValue b) => FromBits(a.Value - b.Value > 0 ? -1 : 0);

    public static GpuValue Select(GpuValue mask, GpuValue ifTrue, GpuValue ifFalse) => mask.Bits != 0 ? ifTrue : ifFalse;

    public static GpuValue Round(GpuValue a) => new((int)(a.Value + (a.Value < 0 ? -0.5f : 0.5f)));

    public static GpuValue SetBits(int bits) => FromBits(bits);

    public static GpuValue And(GpuValue a, GpuValue b) => FromBits(a.Bits & b.Bits);

    public static GpuValue Or(GpuValue a, GpuValue b) => FromBits(a.Bits | b.Bits);

    public static GpuValue ShiftLeft(GpuValue bits, int count) => FromBits(bits.Bits << count);

    public static GpuValue ShiftRight(GpuValue bits, int count) => FromBits(bits.Bits >> count);

    public static GpuValue AddBits(GpuValue a, GpuValue b) => FromBits(unchecked(a.Bits + b.Bits));

    public static GpuValue BitsToFloat(GpuValue bits) => new(bits.Bits);

    public static float Sum(GpuValue a) => a.Value;

    public static GpuValue operator +(GpuValue a, GpuValue b) => new(a.Value + b.Value);

    public static GpuValue operator -(GpuValue a, GpuValue b) => new(a.Value - b.Value);

    public static GpuValue operator *(GpuValue a, GpuValue b) => new(a.Value * b.Value);

    public static GpuValue operator /(GpuValue a, GpuValue b) => new(a.Value / b.Value);

    public static GpuValue operator -(GpuValue a) => new(-a.Value);

    private int Bits => unchecked((int)Interop.FloatAsInt(Value));

    private static GpuValue FromBits(int bits) => new(Interop.IntAsFloat(unchecked((uint)bits)));
}
