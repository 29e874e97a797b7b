using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Delora.Kernels;

/// <summary>
/// One step of a panel widened to two vectors, for each width of vectors: the numbers that the storage's <see cref="IWeightCodec"/> gives.
/// </summary>
internal unsafe interface IPanelStep<TVector>
{
    /// <summary>Reads a step.</summary>
    /// <param name="codes">Its codes.</param>
    /// <param name="scales">A scale for each of its numbers, where the storage has scales.</param>
    /// <param name="levels"><see cref="Nf4Codec.Levels"/>, where the storage has levels.</param>
    static abstract (TVector, TVector) Read(byte* codes, float* scales, float* levels);
}

/// <summary>float32 as it is.</summary>
internal readonly unsafe struct Float32Step : IPanelStep<Vector512<float>>, IPanelStep<Vector256<float>>, IPanelStep<Vector128<float>>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector512<float>, Vector512<float>) IPanelStep<Vector512<float>>.Read(byte* codes, float* scales, float* levels) =>
        (Vector512.Load((float*)codes), Vector512.Load((float*)codes + 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector256<float>, Vector256<float>) IPanelStep<Vector256<float>>.Read(byte* codes, float* scales, float* levels) =>
        (Vector256.Load((float*)codes), Vector256.Load((float*)codes + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector128<float>, Vector128<float>) IPanelStep<Vector128<float>>.Read(byte* codes, float* scales, float* levels) =>
        (Vector128.Load((float*)codes), Vector128.Load((float*)codes + 4));
}

/// <summary>bfloat16: the upper half of a float32.</summary>
internal readonly unsafe struct BFloat16Step : IPanelStep<Vector512<float>>, IPanelStep<Vector256<float>>, IPanelStep<Vector128<float>>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector512<float>, Vector512<float>) IPanelStep<Vector512<float>>.Read(byte* codes, float* scales, float* levels)
    {
        (Vector512<uint> low, Vector512<uint> high) = Words.Read512(codes);
        return ((low << 16).AsSingle(), (high << 16).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector256<float>, Vector256<float>) IPanelStep<Vector256<float>>.Read(byte* codes, float* scales, float* levels)
    {
        (Vector256<uint> low, Vector256<uint> high) = Words.Read256(codes);
        return ((low << 16).AsSingle(), (high << 16).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector128<float>, Vector128<float>) IPanelStep<Vector128<float>>.Read(byte* codes, float* scales, float* levels)
    {
        (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(Vector128.Load((ushort*)codes));
        return ((low << 16).AsSingle(), (high << 16).AsSingle());
    }
}

/// <summary>
/// IEEE half precision, in integers: .NET has no conversion of its own. With sign, exponent and fraction moved to their places a half is 2^−112 of its
/// value, denormals included. Infinities and NaN want the largest exponent; a step without any, as nearly all are, is spared that.
/// </summary>
internal readonly unsafe struct Float16Step : IPanelStep<Vector512<float>>, IPanelStep<Vector256<float>>, IPanelStep<Vector128<float>>
{
    /// <summary>2^112, the difference between the exponents' biases.</summary>
    private const float Two112 = 5.192296858534828e33f;

    /// <summary>Where float32 has sign, exponent and fraction of a half; its exponent where it is the largest; and that of float32.</summary>
    private const uint Placed = 0x8FFF_E000, Largest = 0x0F80_0000, Exponent = 0x7F80_0000;

    private const ushort HalfExponent = 0x7C00;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector512<float>, Vector512<float>) IPanelStep<Vector512<float>>.Read(byte* codes, float* scales, float* levels)
    {
        (Vector512<int> low, Vector512<int> high) = Words.ReadSigned512(codes);
        Vector512<uint> first = Place(low), second = Place(high);
        Vector512<ushort> exponent = Vector512.Create(HalfExponent);
        return Vector512.EqualsAny(Vector512.Load((ushort*)codes) & exponent, exponent)
            ? ((Value(first).AsUInt32() | Special(first)).AsSingle(), (Value(second).AsUInt32() | Special(second)).AsSingle())
            : (Value(first), Value(second));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<uint> Place(Vector512<int> half) => (half << 13).AsUInt32() & Vector512.Create(Placed);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<float> Value(Vector512<uint> placed) => placed.AsSingle() * Vector512.Create(Two112);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<uint> Special(Vector512<uint> placed) =>
            Vector512.Equals(placed & Vector512.Create(Largest), Vector512.Create(Largest)) & Vector512.Create(Exponent);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector256<float>, Vector256<float>) IPanelStep<Vector256<float>>.Read(byte* codes, float* scales, float* levels)
    {
        (Vector256<int> low, Vector256<int> high) = Words.ReadSigned256(codes);
        Vector256<uint> first = Place(low), second = Place(high);
        Vector256<ushort> exponent = Vector256.Create(HalfExponent);
        return Vector256.EqualsAny(Vector256.Load((ushort*)codes) & exponent, exponent)
            ? ((Value(first).AsUInt32() | Special(first)).AsSingle(), (Value(second).AsUInt32() | Special(second)).AsSingle())
            : (Value(first), Value(second));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector256<uint> Place(Vector256<int> half) => (half << 13).AsUInt32() & Vector256.Create(Placed);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector256<float> Value(Vector256<uint> placed) => placed.AsSingle() * Vector256.Create(Two112);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector256<uint> Special(Vector256<uint> placed) =>
            Vector256.Equals(placed & Vector256.Create(Largest), Vector256.Create(Largest)) & Vector256.Create(Exponent);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector128<float>, Vector128<float>) IPanelStep<Vector128<float>>.Read(byte* codes, float* scales, float* levels)
    {
        (Vector128<int> low, Vector128<int> high) = Vector128.Widen(Vector128.Load((short*)codes));
        Vector128<uint> first = Place(low), second = Place(high);
        Vector128<ushort> exponent = Vector128.Create(HalfExponent);
        return Vector128.EqualsAny(Vector128.Load((ushort*)codes) & exponent, exponent)
            ? ((Value(first).AsUInt32() | Special(first)).AsSingle(), (Value(second).AsUInt32() | Special(second)).AsSingle())
            : (Value(first), Value(second));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector128<uint> Place(Vector128<int> half) => (half << 13).AsUInt32() & Vector128.Create(Placed);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector128<float> Value(Vector128<uint> placed) => placed.AsSingle() * Vector128.Create(Two112);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector128<uint> Special(Vector128<uint> placed) =>
            Vector128.Equals(placed & Vector128.Create(Largest), Vector128.Create(Largest)) & Vector128.Create(Exponent);
    }
}

/// <summary>Whole numbers by their scales.</summary>
internal readonly unsafe struct Int8Step : IPanelStep<Vector512<float>>, IPanelStep<Vector256<float>>, IPanelStep<Vector128<float>>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector512<float>, Vector512<float>) IPanelStep<Vector512<float>>.Read(byte* codes, float* scales, float* levels) => Avx512F.IsSupported
        ? (Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)codes))) * Vector512.Load(scales),
            Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)codes + 16))) * Vector512.Load(scales + 16))
        : (Vector512.Create(Eight(codes, scales), Eight(codes + 8, scales + 8)),
            Vector512.Create(Eight(codes + 16, scales + 16), Eight(codes + 24, scales + 24)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector256<float>, Vector256<float>) IPanelStep<Vector256<float>>.Read(byte* codes, float* scales, float* levels) =>
        (Eight(codes, scales), Eight(codes + 8, scales + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector128<float>, Vector128<float>) IPanelStep<Vector128<float>>.Read(byte* codes, float* scales, float* levels)
    {
        (Vector128<int> low, Vector128<int> high) = Vector128.Widen(Vector128.WidenLower(Vector128.CreateScalar(*(long*)codes).AsSByte()));
        return (Vector128.ConvertToSingle(low) * Vector128.Load(scales), Vector128.ConvertToSingle(high) * Vector128.Load(scales + 4));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Eight(byte* codes, float* scales) =>
        Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32((sbyte*)codes)) * Vector256.Load(scales);
}

/// <summary>Levels by their scales. The first half of a step's numbers is in the low bits of its bytes.</summary>
internal readonly unsafe struct Nf4Step : IPanelStep<Vector512<float>>, IPanelStep<Vector256<float>>, IPanelStep<Vector128<float>>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector512<float>, Vector512<float>) IPanelStep<Vector512<float>>.Read(byte* codes, float* scales, float* levels)
    {
        if (!Avx512F.IsSupported)
        {
            Vector256<int> first = Bytes(codes), second = Bytes(codes + 8);
            return (Vector512.Create(Eight(first, levels), Eight(second, levels)) * Vector512.Load(scales),
                Vector512.Create(Eight(first >> 4, levels), Eight(second >> 4, levels)) * Vector512.Load(scales + 16));
        }
        // The permutation looks at the lowest four bits alone.
        Vector512<int> bytes = Avx512F.ConvertToVector512Int32(Vector128.Load(codes));
        Vector512<float> table = Vector512.Load(levels);
        return (Avx512F.PermuteVar16x32(table, bytes) * Vector512.Load(scales), Avx512F.PermuteVar16x32(table, bytes >> 4) * Vector512.Load(scales + 16));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector256<float>, Vector256<float>) IPanelStep<Vector256<float>>.Read(byte* codes, float* scales, float* levels)
    {
        Vector256<int> bytes = Bytes(codes);
        return (Eight(bytes, levels) * Vector256.Load(scales), Eight(bytes >> 4, levels) * Vector256.Load(scales + 8));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector128<float>, Vector128<float>) IPanelStep<Vector128<float>>.Read(byte* codes, float* scales, float* levels) =>
        (Vector128.Create(levels[codes[0] & 15], levels[codes[1] & 15], levels[codes[2] & 15], levels[codes[3] & 15]) * Vector128.Load(scales),
            Vector128.Create(levels[codes[0] >> 4], levels[codes[1] >> 4], levels[codes[2] >> 4], levels[codes[3] >> 4]) * Vector128.Load(scales + 4));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Bytes(byte* codes) => Avx2.ConvertToVector256Int32(codes);

    /// <summary>The permutation looks at the lowest three bits, the choice at the fourth, as a sign.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Eight(Vector256<int> code, float* levels) => Avx.BlendVariable(
        Avx2.PermuteVar8x32(Vector256.Load(levels), code), Avx2.PermuteVar8x32(Vector256.Load(levels + 8), code), (code << 28).AsSingle());
}

/// <summary>16-bit codes, widened in the order in which they lie.</summary>
internal static unsafe class Words
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<uint>, Vector512<uint>) Read512(byte* codes) => Avx512F.IsSupported
        ? (Avx512F.ConvertToVector512UInt32(Vector256.Load((ushort*)codes)), Avx512F.ConvertToVector512UInt32(Vector256.Load((ushort*)codes + 16)))
        : (Vector512.Create(Eight(codes), Eight(codes + 16)), Vector512.Create(Eight(codes + 32), Eight(codes + 48)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<uint>, Vector256<uint>) Read256(byte* codes) => (Eight(codes), Eight(codes + 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<int>, Vector512<int>) ReadSigned512(byte* codes) => Avx512F.IsSupported
        ? (Avx512F.ConvertToVector512Int32(Vector256.Load((short*)codes)), Avx512F.ConvertToVector512Int32(Vector256.Load((short*)codes + 16)))
        : (Vector512.Create(EightSigned(codes), EightSigned(codes + 16)), Vector512.Create(EightSigned(codes + 32), EightSigned(codes + 48)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<int>, Vector256<int>) ReadSigned256(byte* codes) => (EightSigned(codes), EightSigned(codes + 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> EightSigned(byte* codes) => Avx2.ConvertToVector256Int32((short*)codes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Eight(byte* codes) => Avx2.ConvertToVector256Int32((ushort*)codes).AsUInt32();
}
