using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Delora.Kernels;

/// <summary>6×16 with AVX2 and FMA: 12 sums, 2 vectors of B and one of A leave one of the 16 registers free.</summary>
internal readonly unsafe partial struct MicroKernel256 : IMicroKernel
{
    public static int Mr => 6;

    public static int Nr => 16;

    public static int Mc => 144;

    public static int FewRows => 2;

    public static int ThinRows => 4;

    public static int NarrowWidth => 8;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(
        int k, float* a, float* b, nint ldb, float* c, nint ldc, float* bias, bool accumulate, float* prefetch, int k2, float* a2, float* b2)
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default;
        V c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        for (int i = 0; i < 6; i++)
            Sse.Prefetch0(c + i * ldc);
        while (true)
        {
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
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyThin(
        int k, float* a, float* b, nint ldb, float* c, nint ldc, float* bias, bool accumulate, nint ahead, int k2, float* a2, float* b2)
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        while (true)
        {
            for (; k > 0; k--, a += 4, b += ldb)
            {
                V b0 = Vector256.Load(b), b1 = Vector256.Load(b + 8);
                Sse.Prefetch1(b + ahead);
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
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyRow(int k, float* a, nint step, float* b, float* sums)
    {
        V s0 = Vector256.Load(sums), s1 = Vector256.Load(sums + 8);
        for (; k > 0; k--, a += step, b += 16)
        {
            V x = Vector256.Create(*a);
            s0 = Fma.MultiplyAdd(x, Vector256.Load(b), s0);
            s1 = Fma.MultiplyAdd(x, Vector256.Load(b + 8), s1);
        }
        s0.Store(sums);
        s1.Store(sums + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyNarrow(int k, float* a, float* b, float* c, nint ldc, bool accumulate)
    {
        // Two steps at a time into sums of their own: six chains of additions alone would wait for each other.
        V c0 = default, c1 = default, c2 = default, c3 = default, c4 = default, c5 = default;
        V d0 = default, d1 = default, d2 = default, d3 = default, d4 = default, d5 = default;
        for (; k >= 2; k -= 2, a += 12, b += 16)
        {
            V b0 = Vector256.Load(b), b1 = Vector256.Load(b + 8);
            Sse.Prefetch0(a + 96);
            c0 = Fma.MultiplyAdd(Vector256.Create(a[0]), b0, c0);
            c1 = Fma.MultiplyAdd(Vector256.Create(a[1]), b0, c1);
            c2 = Fma.MultiplyAdd(Vector256.Create(a[2]), b0, c2);
            c3 = Fma.MultiplyAdd(Vector256.Create(a[3]), b0, c3);
            c4 = Fma.MultiplyAdd(Vector256.Create(a[4]), b0, c4);
            c5 = Fma.MultiplyAdd(Vector256.Create(a[5]), b0, c5);
            d0 = Fma.MultiplyAdd(Vector256.Create(a[6]), b1, d0);
            d1 = Fma.MultiplyAdd(Vector256.Create(a[7]), b1, d1);
            d2 = Fma.MultiplyAdd(Vector256.Create(a[8]), b1, d2);
            d3 = Fma.MultiplyAdd(Vector256.Create(a[9]), b1, d3);
            d4 = Fma.MultiplyAdd(Vector256.Create(a[10]), b1, d4);
            d5 = Fma.MultiplyAdd(Vector256.Create(a[11]), b1, d5);
        }
        if (k > 0)
        {
            V b0 = Vector256.Load(b);
            c0 = Fma.MultiplyAdd(Vector256.Create(a[0]), b0, c0);
            c1 = Fma.MultiplyAdd(Vector256.Create(a[1]), b0, c1);
            c2 = Fma.MultiplyAdd(Vector256.Create(a[2]), b0, c2);
            c3 = Fma.MultiplyAdd(Vector256.Create(a[3]), b0, c3);
            c4 = Fma.MultiplyAdd(Vector256.Create(a[4]), b0, c4);
            c5 = Fma.MultiplyAdd(Vector256.Create(a[5]), b0, c5);
        }
        StoreNarrow(c0 + d0, c, accumulate);
        StoreNarrow(c1 + d1, c + ldc, accumulate);
        StoreNarrow(c2 + d2, c + 2 * ldc, accumulate);
        StoreNarrow(c3 + d3, c + 3 * ldc, accumulate);
        StoreNarrow(c4 + d4, c + 4 * ldc, accumulate);
        StoreNarrow(c5 + d5, c + 5 * ldc, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyNarrowThin(int k, float* a, float* b, float* c, nint ldc, bool accumulate)
    {
        V c0 = default, c1 = default, c2 = default, c3 = default, d0 = default, d1 = default, d2 = default, d3 = default;
        for (; k >= 2; k -= 2, a += 8, b += 16)
        {
            V b0 = Vector256.Load(b), b1 = Vector256.Load(b + 8);
            c0 = Fma.MultiplyAdd(Vector256.Create(a[0]), b0, c0);
            c1 = Fma.MultiplyAdd(Vector256.Create(a[1]), b0, c1);
            c2 = Fma.MultiplyAdd(Vector256.Create(a[2]), b0, c2);
            c3 = Fma.MultiplyAdd(Vector256.Create(a[3]), b0, c3);
            d0 = Fma.MultiplyAdd(Vector256.Create(a[4]), b1, d0);
            d1 = Fma.MultiplyAdd(Vector256.Create(a[5]), b1, d1);
            d2 = Fma.MultiplyAdd(Vector256.Create(a[6]), b1, d2);
            d3 = Fma.MultiplyAdd(Vector256.Create(a[7]), b1, d3);
        }
        if (k > 0)
        {
            V b0 = Vector256.Load(b);
            c0 = Fma.MultiplyAdd(Vector256.Create(a[0]), b0, c0);
            c1 = Fma.MultiplyAdd(Vector256.Create(a[1]), b0, c1);
            c2 = Fma.MultiplyAdd(Vector256.Create(a[2]), b0, c2);
            c3 = Fma.MultiplyAdd(Vector256.Create(a[3]), b0, c3);
        }
        StoreNarrow(c0 + d0, c, accumulate);
        StoreNarrow(c1 + d1, c + ldc, accumulate);
        StoreNarrow(c2 + d2, c + 2 * ldc, accumulate);
        StoreNarrow(c3 + d3, c + 3 * ldc, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreNarrow(V s, float* c, bool accumulate) => (accumulate ? Vector256.Load(c) + s : s).Store(c);

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
}
