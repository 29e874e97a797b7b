using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Delora.Kernels;

internal readonly unsafe partial struct MicroKernel256
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackTransposed(float* src, nint stride, int count, int k, float* dst, int width)
    {
        int whole = count == width && width is 6 or 16 ? k & ~7 : 0;
        if (width == 6)
            for (int p = 0; p < whole; p += 8)
                Pack6(src + p, stride, dst + (nint)p * 6);
        else
            for (int p = 0; p < whole; p += 8)
            {
                PackWhole8(src + p, stride, dst + (nint)p * 16);
                PackWhole8(src + 8 * stride + p, stride, dst + (nint)p * 16 + 8);
            }
        if (whole < k)
            Pack8(src + whole, stride, count, k - whole, dst + (nint)whole * width, width);
    }

    /// <summary>8 steps of a whole panel of 6 rows: quadruples and pairs of rows, joined to six whole vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Pack6(float* s, nint stride, float* d)
    {
        V r0 = Vector256.Load(s), r1 = Vector256.Load(s + stride), r2 = Vector256.Load(s + 2 * stride), r3 = Vector256.Load(s + 3 * stride);
        V r4 = Vector256.Load(s + 4 * stride), r5 = Vector256.Load(s + 5 * stride);
        V t0 = Avx.UnpackLow(r0, r1), t1 = Avx.UnpackHigh(r0, r1), t2 = Avx.UnpackLow(r2, r3), t3 = Avx.UnpackHigh(r2, r3);
        V u0 = Avx.UnpackLow(r4, r5), u1 = Avx.UnpackHigh(r4, r5);
        V q0 = Avx.Shuffle(t0, t2, 0x44), q1 = Avx.Shuffle(t0, t2, 0xEE), q2 = Avx.Shuffle(t1, t3, 0x44), q3 = Avx.Shuffle(t1, t3, 0xEE);
        // In each lane, steps 4l … 4l + 3: rows 0–3, then 4–5 and 0–1 of the next, then its 2–3 and 4–5, and so on.
        V m0 = Avx.Shuffle(u0, q1, 0x44), m1 = Avx.Shuffle(q1, u0, 0xEE), m2 = Avx.Shuffle(u1, q3, 0x44), m3 = Avx.Shuffle(q3, u1, 0xEE);
        Avx.Permute2x128(q0, m0, 0x20).Store(d);
        Avx.Permute2x128(m1, q2, 0x20).Store(d + 8);
        Avx.Permute2x128(m2, m3, 0x20).Store(d + 16);
        Avx.Permute2x128(q0, m0, 0x31).Store(d + 24);
        Avx.Permute2x128(m1, q2, 0x31).Store(d + 32);
        Avx.Permute2x128(m2, m3, 0x31).Store(d + 40);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Pack8(float* src, nint stride, int count, int k, float* dst, int width)
    {
        int whole = k & ~7;
        for (int i = 0; i < width; i += 8)
        {
            int rows = Math.Clamp(count - i, 0, 8), columns = Math.Min(8, width - i);
            float* s = src + i * stride, d = dst + i;
            for (int p = 0; p < whole; p += 8, s += 8, d += 8 * width)
            {
                V r0 = rows > 0 ? Vector256.Load(s) : default;
                V r1 = rows > 1 ? Vector256.Load(s + stride) : default;
                V r2 = rows > 2 ? Vector256.Load(s + 2 * stride) : default;
                V r3 = rows > 3 ? Vector256.Load(s + 3 * stride) : default;
                V r4 = rows > 4 ? Vector256.Load(s + 4 * stride) : default;
                V r5 = rows > 5 ? Vector256.Load(s + 5 * stride) : default;
                V r6 = rows > 6 ? Vector256.Load(s + 6 * stride) : default;
                V r7 = rows > 7 ? Vector256.Load(s + 7 * stride) : default;
                Turn(r0, r1, r2, r3, r4, r5, r6, r7, d, width, columns);
            }
            for (int p = whole; p < k; p++, s++, d += width)
                for (int j = 0; j < columns; j++)
                    d[j] = j < rows ? s[j * stride] : 0f;
        }
    }

    /// <summary>8 steps of 8 of the 16 columns of a whole panel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PackWhole8(float* s, nint stride, float* d) => Turn(
        Vector256.Load(s), Vector256.Load(s + stride), Vector256.Load(s + 2 * stride), Vector256.Load(s + 3 * stride), Vector256.Load(s + 4 * stride),
        Vector256.Load(s + 5 * stride), Vector256.Load(s + 6 * stride), Vector256.Load(s + 7 * stride), d, 16, 8);

    /// <summary>The transpose of eight rows, the first <paramref name="columns"/> numbers of each of its rows, <paramref name="width"/> floats apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Turn(V r0, V r1, V r2, V r3, V r4, V r5, V r6, V r7, float* d, int width, int columns)
    {
        V t0 = Avx.UnpackLow(r0, r1), t1 = Avx.UnpackHigh(r0, r1), t2 = Avx.UnpackLow(r2, r3), t3 = Avx.UnpackHigh(r2, r3);
        V t4 = Avx.UnpackLow(r4, r5), t5 = Avx.UnpackHigh(r4, r5), t6 = Avx.UnpackLow(r6, r7), t7 = Avx.UnpackHigh(r6, r7);
        r0 = Avx.Shuffle(t0, t2, 0x44);
        r1 = Avx.Shuffle(t0, t2, 0xEE);
        r2 = Avx.Shuffle(t1, t3, 0x44);
        r3 = Avx.Shuffle(t1, t3, 0xEE);
        r4 = Avx.Shuffle(t4, t6, 0x44);
        r5 = Avx.Shuffle(t4, t6, 0xEE);
        r6 = Avx.Shuffle(t5, t7, 0x44);
        r7 = Avx.Shuffle(t5, t7, 0xEE);
        Put(Avx.Permute2x128(r0, r4, 0x20), d, columns);
        Put(Avx.Permute2x128(r1, r5, 0x20), d + width, columns);
        Put(Avx.Permute2x128(r2, r6, 0x20), d + 2 * width, columns);
        Put(Avx.Permute2x128(r3, r7, 0x20), d + 3 * width, columns);
        Put(Avx.Permute2x128(r0, r4, 0x31), d + 4 * width, columns);
        Put(Avx.Permute2x128(r1, r5, 0x31), d + 5 * width, columns);
        Put(Avx.Permute2x128(r2, r6, 0x31), d + 6 * width, columns);
        Put(Avx.Permute2x128(r3, r7, 0x31), d + 7 * width, columns);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(V v, float* d, int columns)
    {
        if (columns == 8)
        {
            v.Store(d);
            return;
        }
        v.GetLower().Store(d); // 4 of 12, or 6
        if (columns == 6)
            *(double*)(d + 4) = v.GetUpper().AsDouble().ToScalar();
    }
}
