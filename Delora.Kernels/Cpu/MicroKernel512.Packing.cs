using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace Delora.Kernels;

internal readonly unsafe partial struct MicroKernel512
{
    /// <summary>
    /// 16 steps of a whole panel are a matrix of 12 or 32 rows by 16 columns, transposed in registers: quadruples of rows within
    /// 128-bit lanes, then the lanes. What is left goes the way of 256 bits.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackTransposed(float* src, nint stride, int count, int k, float* dst, int width)
    {
        int whole = Avx512F.IsSupported && count == width && width is 12 or 32 ? k & ~15 : 0;
        if (width == 12)
            for (int p = 0; p < whole; p += 16)
                Pack12(src + p, stride, dst + (nint)p * 12);
        else
            for (int p = 0; p < whole; p += 16)
            {
                Pack16(src + p, stride, dst + (nint)p * 32);
                Pack16(src + 16 * stride + p, stride, dst + (nint)p * 32 + 16);
            }
        if (whole < k)
            MicroKernel256.Pack8(src + whole, stride, count, k - whole, dst + (nint)whole * width, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Pack12(float* s, nint stride, float* d)
    {
        (V a0, V a1, V a2, V a3) = Quadruples(s, stride);
        (V b0, V b1, V b2, V b3) = Quadruples(s + 4 * stride, stride);
        (V c0, V c1, V c2, V c3) = Quadruples(s + 8 * stride, stride);
        // Lane l holds steps 4l + i of the quadruple: 12 numbers of each step follow each other, so that its quadruples fill vectors in turn.
        StoreLanes(a0, b0, c0, a1, d);
        StoreLanes(b1, c1, a2, b2, d + 16);
        StoreLanes(c2, a3, b3, c3, d + 32);

        static void StoreLanes(V x, V y, V z, V w, float* d)
        {
            (V l0, V l1, V l2, V l3) = Lanes(x, y, z, w);
            l0.Store(d);
            l1.Store(d + 48);
            l2.Store(d + 96);
            l3.Store(d + 144);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Pack16(float* s, nint stride, float* d)
    {
        (V a0, V a1, V a2, V a3) = Quadruples(s, stride);
        (V b0, V b1, V b2, V b3) = Quadruples(s + 4 * stride, stride);
        (V c0, V c1, V c2, V c3) = Quadruples(s + 8 * stride, stride);
        (V d0, V d1, V d2, V d3) = Quadruples(s + 12 * stride, stride);
        StoreLanes(a0, b0, c0, d0, d);
        StoreLanes(a1, b1, c1, d1, d + 32);
        StoreLanes(a2, b2, c2, d2, d + 64);
        StoreLanes(a3, b3, c3, d3, d + 96);

        static void StoreLanes(V x, V y, V z, V w, float* d)
        {
            (V l0, V l1, V l2, V l3) = Lanes(x, y, z, w);
            l0.Store(d);
            l1.Store(d + 128);
            l2.Store(d + 256);
            l3.Store(d + 384);
        }
    }

    /// <summary>Lane l of result i holds column 4l + i of four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (V, V, V, V) Quadruples(float* s, nint stride)
    {
        V r0 = Vector512.Load(s), r1 = Vector512.Load(s + stride), r2 = Vector512.Load(s + 2 * stride), r3 = Vector512.Load(s + 3 * stride);
        V t0 = Avx512F.UnpackLow(r0, r1), t1 = Avx512F.UnpackHigh(r0, r1), t2 = Avx512F.UnpackLow(r2, r3), t3 = Avx512F.UnpackHigh(r2, r3);
        return (Avx512F.Shuffle(t0, t2, 0x44), Avx512F.Shuffle(t0, t2, 0xEE), Avx512F.Shuffle(t1, t3, 0x44), Avx512F.Shuffle(t1, t3, 0xEE));
    }

    /// <summary>Result l holds lane l of each of the four.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (V, V, V, V) Lanes(V x, V y, V z, V w)
    {
        V t0 = Avx512F.Shuffle4x128(x, y, 0x44), t1 = Avx512F.Shuffle4x128(x, y, 0xEE);
        V t2 = Avx512F.Shuffle4x128(z, w, 0x44), t3 = Avx512F.Shuffle4x128(z, w, 0xEE);
        return (Avx512F.Shuffle4x128(t0, t2, 0x88), Avx512F.Shuffle4x128(t0, t2, 0xDD),
            Avx512F.Shuffle4x128(t1, t3, 0x88), Avx512F.Shuffle4x128(t1, t3, 0xDD));
    }
}
