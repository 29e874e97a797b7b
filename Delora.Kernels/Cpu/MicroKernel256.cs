using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Delora.Kernels;

/// <summary>6×16 with AVX2 and FMA: 12 sums, 2 vectors of B and one of A leave one of the 16 registers free.</summary>
internal readonly unsafe struct MicroKernel256 : IMicroKernel
{
    public static int Mr => 6;

    public static int Nr => 16;

    public static int Mc => 144;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(int k, float* a, float* b, nint ldb, float* c, nint ldc, float* bias, bool accumulate, float* prefetch)
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default;
        V c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        for (int i = 0; i < 6; i++)
            Sse.Prefetch0(c + i * ldc);
        for (; k >= 4; k -= 4)
        {
            Sse.Prefetch0(a + 96);
            Sse.Prefetch1(prefetch);
            prefetch += 16;
            Step(a, b, ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51);
            b += ldb;
            Step(a + 6, b, ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51);
            b += ldb;
            Step(a + 12, b, ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51);
            b += ldb;
            Step(a + 18, b, ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51);
            b += ldb;
            a += 24;
        }
        for (; k > 0; k--, a += 6, b += ldb)
            Step(a, b, ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51);
        Store(c00, c01, c, bias, accumulate);
        Store(c10, c11, c + ldc, bias, accumulate);
        Store(c20, c21, c + 2 * ldc, bias, accumulate);
        Store(c30, c31, c + 3 * ldc, bias, accumulate);
        Store(c40, c41, c + 4 * ldc, bias, accumulate);
        Store(c50, c51, c + 5 * ldc, bias, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(
        float* a, float* b, ref V c00, ref V c01, ref V c10, ref V c11, ref V c20, ref V c21, ref V c30, ref V c31, ref V c40, ref V c41,
        ref V c50, ref V c51)
    {
        V b0 = Vector256.Load(b), b1 = Vector256.Load(b + 8);
        V x = Vector256.Create(a[0]);
        c00 = Fma.MultiplyAdd(x, b0, c00);
        c01 = Fma.MultiplyAdd(x, b1, c01);
        x = Vector256.Create(a[1]);
        c10 = Fma.MultiplyAdd(x, b0, c10);
        c11 = Fma.MultiplyAdd(x, b1, c11);
        x = Vector256.Create(a[2]);
        c20 = Fma.MultiplyAdd(x, b0, c20);
        c21 = Fma.MultiplyAdd(x, b1, c21);
        x = Vector256.Create(a[3]);
        c30 = Fma.MultiplyAdd(x, b0, c30);
        c31 = Fma.MultiplyAdd(x, b1, c31);
        x = Vector256.Create(a[4]);
        c40 = Fma.MultiplyAdd(x, b0, c40);
        c41 = Fma.MultiplyAdd(x, b1, c41);
        x = Vector256.Create(a[5]);
        c50 = Fma.MultiplyAdd(x, b0, c50);
        c51 = Fma.MultiplyAdd(x, b1, c51);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(V s0, V s1, float* c, float* bias, bool accumulate)
    {
        float* start = accumulate ? c : bias;
        if (start != null)
        {
            s0 = Vector256.Load(start) + s0;
            s1 = Vector256.Load(start + 8) + s1;
        }
        s0.Store(c);
        s1.Store(c + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackTransposed(float* src, nint stride, int count, int k, float* dst, int width) =>
        Pack8(src, stride, count, k, dst, width);

    /// <summary>Transposes 8×8 blocks; the last rows of a panel whose width is no multiple of 8 are stored in parts.</summary>
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
            for (int p = whole; p < k; p++, s++, d += width)
                for (int j = 0; j < columns; j++)
                    d[j] = j < rows ? s[j * stride] : 0f;
        }
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
