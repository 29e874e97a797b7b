using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace Delora.Kernels;

/// <summary>12×32 with AVX-512: 24 sums, 2 vectors of B and one of A fit in 32 registers.</summary>
internal readonly unsafe struct MicroKernel512 : IMicroKernel
{
    public static int Mr => 12;

    public static int Nr => 32;

    public static int Mc => 144;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(int k, float* a, float* b, nint ldb, float* c, nint ldc, float* bias, bool accumulate, float* prefetch)
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        V c40 = default, c41 = default, c50 = default, c51 = default, c60 = default, c61 = default, c70 = default, c71 = default;
        V c80 = default, c81 = default, c90 = default, c91 = default, ca0 = default, ca1 = default, cb0 = default, cb1 = default;
        for (int i = 0; i < 12; i++)
        {
            Sse.Prefetch0(c + i * ldc);
            Sse.Prefetch0(c + i * ldc + 16);
        }
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackTransposed(float* src, nint stride, int count, int k, float* dst, int width) =>
        MicroKernel256.Pack8(src, stride, count, k, dst, width);
}
