using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Delora.Kernels;

/// <summary>
/// Codes of panels to float32, with the widest vectors of the machine: what the codecs of <see cref="IWeightCodec"/> give, whatever the width.
/// Counts are multiples of a panel's width, which is one of 8.
/// </summary>
internal static unsafe class PanelDecoder
{
    /// <summary>2^112, the difference between the exponents' biases.</summary>
    private const float Two112 = 5.192296858534828e33f;

    /// <summary>Elementwise: the upper half of a float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void BFloat16(ushort* codes, int count, float* destination)
    {
        int i = 0;
        if (Vector512.IsHardwareAccelerated)
            for (; i <= count - 32; i += 32)
            {
                (Vector512<uint> low, Vector512<uint> high) = Vector512.Widen(Vector512.Load(codes + i));
                (low << 16).AsSingle().Store(destination + i);
                (high << 16).AsSingle().Store(destination + i + 16);
            }
        for (; i <= count - 8; i += 8)
        {
            (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(Vector128.Load(codes + i));
            (low << 16).AsSingle().Store(destination + i);
            (high << 16).AsSingle().Store(destination + i + 4);
        }
    }

    /// <summary>
    /// Elementwise. With exponent and fraction moved to their places a half is 2^−112 of its value, denormals included; infinity and NaN get their exponent back.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Float16(ushort* codes, int count, float* destination)
    {
        int i = 0;
        if (Vector512.IsHardwareAccelerated)
            for (; i <= count - 32; i += 32)
            {
                (Vector512<uint> low, Vector512<uint> high) = Vector512.Widen(Vector512.Load(codes + i));
                Wide512(low).Store(destination + i);
                Wide512(high).Store(destination + i + 16);
            }
        if (Vector256.IsHardwareAccelerated)
            for (; i <= count - 16; i += 16)
            {
                (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.Load(codes + i));
                Wide256(low).Store(destination + i);
                Wide256(high).Store(destination + i + 8);
            }
        for (; i <= count - 8; i += 8)
        {
            (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(Vector128.Load(codes + i));
            Wide128(low).Store(destination + i);
            Wide128(high).Store(destination + i + 4);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector512<float> Wide512(Vector512<uint> h)
        {
            Vector512<float> small = ((h & Vector512.Create(0x7FFFu)) << 13).AsSingle() * Vector512.Create(Two112);
            Vector512<uint> special = Vector512.GreaterThanOrEqual(small, Vector512.Create(65536f)).AsUInt32() & Vector512.Create(0x7F80_0000u);
            return (small.AsUInt32() | special | ((h & Vector512.Create(0x8000u)) << 16)).AsSingle();
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector256<float> Wide256(Vector256<uint> h)
        {
            Vector256<float> small = ((h & Vector256.Create(0x7FFFu)) << 13).AsSingle() * Vector256.Create(Two112);
            Vector256<uint> special = Vector256.GreaterThanOrEqual(small, Vector256.Create(65536f)).AsUInt32() & Vector256.Create(0x7F80_0000u);
            return (small.AsUInt32() | special | ((h & Vector256.Create(0x8000u)) << 16)).AsSingle();
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector128<float> Wide128(Vector128<uint> h)
        {
            Vector128<float> small = ((h & Vector128.Create(0x7FFFu)) << 13).AsSingle() * Vector128.Create(Two112);
            Vector128<uint> special = Vector128.GreaterThanOrEqual(small, Vector128.Create(65536f)).AsUInt32() & Vector128.Create(0x7F80_0000u);
            return (small.AsUInt32() | special | ((h & Vector128.Create(0x8000u)) << 16)).AsSingle();
        }
    }

    /// <summary>[steps][nr] whole numbers by a scale for each of nr.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Int8(sbyte* codes, int steps, int nr, float* scales, float* destination)
    {
        if (Avx512F.IsSupported && nr == 32)
        {
            Vector512<float> low = Vector512.Load(scales), high = Vector512.Load(scales + 16);
            for (; steps > 0; steps--, codes += 32, destination += 32)
            {
                (Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(codes))) * low).Store(destination);
                (Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(codes + 16))) * high).Store(destination + 16);
            }
            return;
        }
        for (; steps > 0; steps--)
            for (int i = 0; i < nr; i += 8, codes += 8, destination += 8)
            {
                Vector128<short> eight = Vector128.WidenLower(Vector128.CreateScalar(*(long*)codes).AsSByte());
                (Vector128<int> low, Vector128<int> high) = Vector128.Widen(eight);
                (Vector128.ConvertToSingle(low) * Vector128.Load(scales + i)).Store(destination);
                (Vector128.ConvertToSingle(high) * Vector128.Load(scales + i + 4)).Store(destination + 4);
            }
    }

    /// <summary>[steps][nr] levels by a scale for each of nr, another one at every 64th step; the first half of the nr is in the low bits of the bytes.</summary>
    /// <param name="codes">The codes of step <paramref name="first"/>.</param>
    /// <param name="first">Number of the first step in its row of W.</param>
    /// <param name="steps">Steps.</param>
    /// <param name="nr">Width of the panel.</param>
    /// <param name="scales">[blocks][nr], from the row's first block on.</param>
    /// <param name="destination">Receives steps · nr floats.</param>
    public static void Nf4(byte* codes, int first, int steps, int nr, float* scales, float* destination)
    {
        fixed (float* levels = Nf4Codec.Levels)
            for (int done = 0; done < steps;)
            {
                int block = (first + done) / Nf4Codec.BlockSize;
                int count = Math.Min(steps - done, (block + 1) * Nf4Codec.BlockSize - first - done);
                Nf4Block(codes, count, nr, scales + (nint)block * nr, levels, destination);
                codes += (nint)count * nr / 2;
                destination += (nint)count * nr;
                done += count;
            }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Nf4Block(byte* codes, int steps, int nr, float* scales, float* levels, float* destination)
    {
        int half = nr / 2;
        if (Avx512F.IsSupported && nr == 32)
        {
            Vector512<float> table = Vector512.Load(levels), low = Vector512.Load(scales), high = Vector512.Load(scales + 16);
            for (; steps > 0; steps--, codes += 16, destination += 32)
            {
                Vector512<int> bytes = Avx512F.ConvertToVector512Int32(Vector128.Load(codes));
                // The permutation looks at the lowest four bits alone.
                (Avx512F.PermuteVar16x32(table, bytes) * low).Store(destination);
                (Avx512F.PermuteVar16x32(table, Vector512.ShiftRightLogical(bytes, 4)) * high).Store(destination + 16);
            }
        }
        else if (Avx2.IsSupported && half % 8 == 0)
        {
            Vector256<float> negative = Vector256.Load(levels), positive = Vector256.Load(levels + 8);
            for (; steps > 0; steps--, codes += half, destination += nr)
                for (int i = 0; i < half; i += 8)
                {
                    Vector256<int> bytes = Avx2.ConvertToVector256Int32(codes + i);
                    (Level(bytes, negative, positive) * Vector256.Load(scales + i)).Store(destination + i);
                    (Level(bytes >> 4, negative, positive) * Vector256.Load(scales + half + i)).Store(destination + half + i);
                }
        }
        else
        {
            for (; steps > 0; steps--, codes += half, destination += nr)
                for (int i = 0; i < half; i++)
                {
                    destination[i] = levels[codes[i] & 15] * scales[i];
                    destination[half + i] = levels[codes[i] >> 4] * scales[half + i];
                }
        }

        // The permutation looks at the lowest three bits, the choice at the fourth, as a sign.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector256<float> Level(Vector256<int> code, Vector256<float> negative, Vector256<float> positive) => Avx.BlendVariable(
            Avx2.PermuteVar8x32(negative, code), Avx2.PermuteVar8x32(positive, code), (code << 28).AsSingle());
    }
}
