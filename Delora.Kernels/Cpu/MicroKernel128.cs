using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector128<float>;

namespace Delora.Kernels;

/// <summary>6×8 in portable 128-bit vectors: 12 sums fit in the 16 registers of SSE; Arm has 32.</summary>
internal readonly unsafe struct MicroKernel128 : IMicroKernel
{
    public static int Mr => 6;

    public static int Nr => 8;

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
        while (true)
        {
            for (; k > 0; k--, a += 6, b += ldb)
            {
                V b0 = Vector128.Load(b), b1 = Vector128.Load(b + 4);
                Row(a[0], b0, b1, ref c00, ref c01);
                Row(a[1], b0, b1, ref c10, ref c11);
                Row(a[2], b0, b1, ref c20, ref c21);
                Row(a[3], b0, b1, ref c30, ref c31);
                Row(a[4], b0, b1, ref c40, ref c41);
                Row(a[5], b0, b1, ref c50, ref c51);
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
                V b0 = Vector128.Load(b), b1 = Vector128.Load(b + 4);
                Row(a[0], b0, b1, ref c00, ref c01);
                Row(a[1], b0, b1, ref c10, ref c11);
                Row(a[2], b0, b1, ref c20, ref c21);
                Row(a[3], b0, b1, ref c30, ref c31);
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
        V s0 = Vector128.Load(sums), s1 = Vector128.Load(sums + 4);
        for (; k > 0; k--, a += step, b += 8)
            Row(*a, Vector128.Load(b), Vector128.Load(b + 4), ref s0, ref s1);
        s0.Store(sums);
        s1.Store(sums + 4);
    }

    public static void MultiplyNarrow(int k, float* a, float* b, float* c, nint ldc, bool accumulate) =>
        Multiply(k, a, b, Nr, c, ldc, null, accumulate, b, 0, null, null);

    public static void MultiplyNarrowThin(int k, float* a, float* b, float* c, nint ldc, bool accumulate) =>
        MultiplyThin(k, a, b, Nr, c, ldc, null, accumulate, 0, 0, null, null);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Row(float a, V b0, V b1, ref V c0, ref V c1)
    {
        V x = Vector128.Create(a);
        c0 = Vector128.MultiplyAddEstimate(x, b0, c0); // fused where the machine has it
        c1 = Vector128.MultiplyAddEstimate(x, b1, c1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(V s0, V s1, float* c, float* bias, bool accumulate)
    {
        float* start = accumulate ? c : bias;
        if (start != null)
        {
            s0 = Vector128.Load(start) + s0;
            s1 = Vector128.Load(start + 4) + s1;
        }
        s0.Store(c);
        s1.Store(c + 4);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackTransposed(float* src, nint stride, int count, int k, float* dst, int width)
    {
        int whole = k & ~3;
        for (int i = 0; i < width; i += 4)
        {
            int rows = Math.Clamp(count - i, 0, 4), columns = Math.Min(4, width - i);
            float* s = src + i * stride, d = dst + i;
            for (int p = 0; p < whole; p += 4, s += 4, d += 4 * width)
            {
                V r0 = rows > 0 ? Vector128.Load(s) : default;
                V r1 = rows > 1 ? Vector128.Load(s + stride) : default;
                V r2 = rows > 2 ? Vector128.Load(s + 2 * stride) : default;
                V r3 = rows > 3 ? Vector128.Load(s + 3 * stride) : default;
                Transpose(ref r0, ref r1, ref r2, ref r3);
                Put(r0, d, columns);
                Put(r1, d + width, columns);
                Put(r2, d + 2 * width, columns);
                Put(r3, d + 3 * width, columns);
            }
            for (int p = whole; p < k; p++, s++, d += width)
                for (int j = 0; j < columns; j++)
                    d[j] = j < rows ? s[j * stride] : 0f;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(V v, float* d, int columns)
    {
        if (columns == 4)
            v.Store(d);
        else
            *(double*)d = v.AsDouble().ToScalar(); // the last 2 of 6
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(ref V r0, ref V r1, ref V r2, ref V r3)
    {
        if (Sse.IsSupported)
        {
            V t0 = Sse.UnpackLow(r0, r1), t1 = Sse.UnpackHigh(r0, r1), t2 = Sse.UnpackLow(r2, r3), t3 = Sse.UnpackHigh(r2, r3);
            r0 = Sse.MoveLowToHigh(t0, t2);
            r1 = Sse.MoveHighToLow(t2, t0);
            r2 = Sse.MoveLowToHigh(t1, t3);
            r3 = Sse.MoveHighToLow(t3, t1);
        }
        else if (AdvSimd.Arm64.IsSupported)
        {
            V t0 = AdvSimd.Arm64.ZipLow(r0, r2), t1 = AdvSimd.Arm64.ZipHigh(r0, r2);
            V t2 = AdvSimd.Arm64.ZipLow(r1, r3), t3 = AdvSimd.Arm64.ZipHigh(r1, r3);
            r0 = AdvSimd.Arm64.ZipLow(t0, t2);
            r1 = AdvSimd.Arm64.ZipHigh(t0, t2);
            r2 = AdvSimd.Arm64.ZipLow(t1, t3);
            r3 = AdvSimd.Arm64.ZipHigh(t1, t3);
        }
        else
        {
            V a = r0, b = r1, c = r2, d = r3;
            r0 = Vector128.Create(a[0], b[0], c[0], d[0]);
            r1 = Vector128.Create(a[1], b[1], c[1], d[1]);
            r2 = Vector128.Create(a[2], b[2], c[2], d[2]);
            r3 = Vector128.Create(a[3], b[3], c[3], d[3]);
        }
    }
}
