using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace Delora.Kernels;

/// <summary>12×32 with AVX-512: 24 sums, 2 vectors of B and one of A fit in 32 registers.</summary>
internal readonly unsafe partial struct MicroKernel512 : IMicroKernel
{
    public static int Mr => 12;

    public static int Nr => 32;

    public static int Mc => 144;

    public static int FewRows => 4;

    public static int ThinRows => 8;

    /// <summary>Each number twice: one vector serves two rows.</summary>
    public static int NarrowWidth => 16;

    /// <summary>
    /// Steps before its end at which a register tile asks for its lines of C. Asked for at its beginning they would be gone again: a panel of B fills the
    /// first cache.
    /// </summary>
    private const int LastSteps = 64;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(
        int k, float* a, float* b, nint ldb, float* c, nint ldc, float* bias, bool accumulate, float* prefetch, int k2, float* a2, float* b2)
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        V c40 = default, c41 = default, c50 = default, c51 = default, c60 = default, c61 = default, c70 = default, c71 = default;
        V c80 = default, c81 = default, c90 = default, c91 = default, ca0 = default, ca1 = default, cb0 = default, cb1 = default;
        int last = Math.Min(k, LastSteps);
        k -= last;
        while (true)
        {
            for (; k > 0; k--)
            {
                V b0 = Vector512.Load(b), b1 = Vector512.Load(b + 16);
                Sse.Prefetch0(a + 192);
                if ((k & 1) == 0)
                {
                    Sse.Prefetch1(prefetch);
                    prefetch += 16;
                }
                Row(a[0], b0, b1, ref c00, ref c01);
                Row(a[1], b0, b1, ref c10, ref c11);
                Row(a[2], b0, b1, ref c20, ref c21);
                Row(a[3], b0, b1, ref c30, ref c31);
                Row(a[4], b0, b1, ref c40, ref c41);
                Row(a[5], b0, b1, ref c50, ref c51);
                Row(a[6], b0, b1, ref c60, ref c61);
                Row(a[7], b0, b1, ref c70, ref c71);
                Row(a[8], b0, b1, ref c80, ref c81);
                Row(a[9], b0, b1, ref c90, ref c91);
                Row(a[10], b0, b1, ref ca0, ref ca1);
                Row(a[11], b0, b1, ref cb0, ref cb1);
                a += 12;
                b += ldb;
            }
            if (last > 0)
            {
                k = last;
                last = 0;
                for (int i = 0; i < 12; i++)
                {
                    Sse.Prefetch0(c + i * ldc);
                    Sse.Prefetch0(c + i * ldc + 16);
                }
                continue;
            }
            if (k2 == 0)
                break;
            k = k2;
            a = a2;
            b = b2;
            k2 = 0;
        }
        Store(c00, c01, c, bias, accumulate);
        Store(c10, c11, c + ldc, bias, accumulate);
        Store(c20, c21, c + 2 * ldc, bias, accumulate);
        Store(c30, c31, c + 3 * ldc, bias, accumulate);
        Store(c40, c41, c + 4 * ldc, bias, accumulate);
        Store(c50, c51, c + 5 * ldc, bias, accumulate);
        Store(c60, c61, c + 6 * ldc, bias, accumulate);
        Store(c70, c71, c + 7 * ldc, bias, accumulate);
        Store(c80, c81, c + 8 * ldc, bias, accumulate);
        Store(c90, c91, c + 9 * ldc, bias, accumulate);
        Store(ca0, ca1, c + 10 * ldc, bias, accumulate);
        Store(cb0, cb1, c + 11 * ldc, bias, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyThin(
        int k, float* a, float* b, nint ldb, float* c, nint ldc, float* bias, bool accumulate, nint ahead, int k2, float* a2, float* b2)
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        V c40 = default, c41 = default, c50 = default, c51 = default, c60 = default, c61 = default, c70 = default, c71 = default;
        while (true)
        {
            for (; k > 0; k--, a += 8, b += ldb)
            {
                V b0 = Vector512.Load(b), b1 = Vector512.Load(b + 16);
                Sse.Prefetch1(b + ahead);
                Sse.Prefetch1(b + ahead + 16);
                Row(a[0], b0, b1, ref c00, ref c01);
                Row(a[1], b0, b1, ref c10, ref c11);
                Row(a[2], b0, b1, ref c20, ref c21);
                Row(a[3], b0, b1, ref c30, ref c31);
                Row(a[4], b0, b1, ref c40, ref c41);
                Row(a[5], b0, b1, ref c50, ref c51);
                Row(a[6], b0, b1, ref c60, ref c61);
                Row(a[7], b0, b1, ref c70, ref c71);
            }
            if (k2 == 0)
                break;
            k = k2;
            a = a2;
            b = b2;
            k2 = 0;
        }
        Store(c00, c01, c, bias, accumulate);
        Store(c10, c11, c + ldc, bias, accumulate);
        Store(c20, c21, c + 2 * ldc, bias, accumulate);
        Store(c30, c31, c + 3 * ldc, bias, accumulate);
        Store(c40, c41, c + 4 * ldc, bias, accumulate);
        Store(c50, c51, c + 5 * ldc, bias, accumulate);
        Store(c60, c61, c + 6 * ldc, bias, accumulate);
        Store(c70, c71, c + 7 * ldc, bias, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyRow(int k, float* a, nint step, float* b, float* sums)
    {
        V s0 = Vector512.Load(sums), s1 = Vector512.Load(sums + 16);
        for (; k > 0; k--, a += step, b += 32)
            Row(*a, Vector512.Load(b), Vector512.Load(b + 16), ref s0, ref s1);
        s0.Store(sums);
        s1.Store(sums + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyNarrow(int k, float* a, float* b, float* c, nint ldc, bool accumulate)
    {
        // Two steps at a time into sums of their own: six chains of additions alone would wait for each other.
        V c0 = default, c1 = default, c2 = default, c3 = default, c4 = default, c5 = default;
        V d0 = default, d1 = default, d2 = default, d3 = default, d4 = default, d5 = default;
        for (; k >= 2; k -= 2, a += 24, b += 32)
        {
            V b0 = Vector512.Load(b), b1 = Vector512.Load(b + 16);
            Sse.Prefetch0(a + 192);
            Sse.Prefetch0(a + 208);
            c0 = Vector512.FusedMultiplyAdd(Pair(a), b0, c0);
            c1 = Vector512.FusedMultiplyAdd(Pair(a + 2), b0, c1);
            c2 = Vector512.FusedMultiplyAdd(Pair(a + 4), b0, c2);
            c3 = Vector512.FusedMultiplyAdd(Pair(a + 6), b0, c3);
            c4 = Vector512.FusedMultiplyAdd(Pair(a + 8), b0, c4);
            c5 = Vector512.FusedMultiplyAdd(Pair(a + 10), b0, c5);
            d0 = Vector512.FusedMultiplyAdd(Pair(a + 12), b1, d0);
            d1 = Vector512.FusedMultiplyAdd(Pair(a + 14), b1, d1);
            d2 = Vector512.FusedMultiplyAdd(Pair(a + 16), b1, d2);
            d3 = Vector512.FusedMultiplyAdd(Pair(a + 18), b1, d3);
            d4 = Vector512.FusedMultiplyAdd(Pair(a + 20), b1, d4);
            d5 = Vector512.FusedMultiplyAdd(Pair(a + 22), b1, d5);
        }
        if (k > 0)
        {
            V b0 = Vector512.Load(b);
            c0 = Vector512.FusedMultiplyAdd(Pair(a), b0, c0);
            c1 = Vector512.FusedMultiplyAdd(Pair(a + 2), b0, c1);
            c2 = Vector512.FusedMultiplyAdd(Pair(a + 4), b0, c2);
            c3 = Vector512.FusedMultiplyAdd(Pair(a + 6), b0, c3);
            c4 = Vector512.FusedMultiplyAdd(Pair(a + 8), b0, c4);
            c5 = Vector512.FusedMultiplyAdd(Pair(a + 10), b0, c5);
        }
        StorePair(c0 + d0, c, ldc, accumulate);
        StorePair(c1 + d1, c + 2 * ldc, ldc, accumulate);
        StorePair(c2 + d2, c + 4 * ldc, ldc, accumulate);
        StorePair(c3 + d3, c + 6 * ldc, ldc, accumulate);
        StorePair(c4 + d4, c + 8 * ldc, ldc, accumulate);
        StorePair(c5 + d5, c + 10 * ldc, ldc, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyNarrowThin(int k, float* a, float* b, float* c, nint ldc, bool accumulate)
    {
        V c0 = default, c1 = default, c2 = default, c3 = default, d0 = default, d1 = default, d2 = default, d3 = default;
        for (; k >= 2; k -= 2, a += 16, b += 32)
        {
            V b0 = Vector512.Load(b), b1 = Vector512.Load(b + 16);
            c0 = Vector512.FusedMultiplyAdd(Pair(a), b0, c0);
            c1 = Vector512.FusedMultiplyAdd(Pair(a + 2), b0, c1);
            c2 = Vector512.FusedMultiplyAdd(Pair(a + 4), b0, c2);
            c3 = Vector512.FusedMultiplyAdd(Pair(a + 6), b0, c3);
            d0 = Vector512.FusedMultiplyAdd(Pair(a + 8), b1, d0);
            d1 = Vector512.FusedMultiplyAdd(Pair(a + 10), b1, d1);
            d2 = Vector512.FusedMultiplyAdd(Pair(a + 12), b1, d2);
            d3 = Vector512.FusedMultiplyAdd(Pair(a + 14), b1, d3);
        }
        if (k > 0)
        {
            V b0 = Vector512.Load(b);
            c0 = Vector512.FusedMultiplyAdd(Pair(a), b0, c0);
            c1 = Vector512.FusedMultiplyAdd(Pair(a + 2), b0, c1);
            c2 = Vector512.FusedMultiplyAdd(Pair(a + 4), b0, c2);
            c3 = Vector512.FusedMultiplyAdd(Pair(a + 6), b0, c3);
        }
        StorePair(c0 + d0, c, ldc, accumulate);
        StorePair(c1 + d1, c + 2 * ldc, ldc, accumulate);
        StorePair(c2 + d2, c + 4 * ldc, ldc, accumulate);
        StorePair(c3 + d3, c + 6 * ldc, ldc, accumulate);
    }

    /// <summary>a[0], a[1], a[0], a[1], …</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Pair(float* a) => Vector512.Create(*(double*)a).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Row(float a, V b0, V b1, ref V c0, ref V c1)
    {
        V x = Vector512.Create(a);
        c0 = Vector512.FusedMultiplyAdd(x, b0, c0);
        c1 = Vector512.FusedMultiplyAdd(x, b1, c1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(V s0, V s1, float* c, float* bias, bool accumulate)
    {
        float* start = accumulate ? c : bias;
        if (start != null)
        {
            s0 = Vector512.Load(start) + s0;
            s1 = Vector512.Load(start + 16) + s1;
        }
        s0.Store(c);
        s1.Store(c + 16);
    }

    /// <summary>Even elements are a row of C, odd ones the next.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StorePair(V s, float* c, nint ldc, bool accumulate)
    {
        V rows = Vector512.Shuffle(s, Vector512.Create(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
        Vector256<float> even = rows.GetLower(), odd = rows.GetUpper();
        if (accumulate)
        {
            even = Vector256.Load(c) + even;
            odd = Vector256.Load(c + ldc) + odd;
        }
        even.Store(c);
        odd.Store(c + ldc);
    }
}
