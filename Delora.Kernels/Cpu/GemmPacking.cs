using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Delora.Kernels;

/// <summary>Brings operands of any layout into the panels that a micro-kernel reads.</summary>
internal static unsafe class GemmPacking
{
    private const int StraightSteps = 32;

    /// <summary>Packs [rows, k] of the left operand into panels of Mr rows: <c>dst[(i / Mr)·Mr·k + p·Mr + i % Mr]</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackLeft<TKernel>(float* a, nint row, nint col, int rows, int k, float* dst)
        where TKernel : struct, IMicroKernel
    {
        int mr = TKernel.Mr;
        if (row == 1 && col != 1)
        {
            // Panels share cache lines: a few steps of all panels at a time.
            for (int k0 = 0; k0 < k; k0 += StraightSteps)
            {
                float* to = dst + (nint)mr * k0;
                for (int i = 0; i < rows; i += mr, to += (nint)mr * k)
                    PackPanel<TKernel>(a + k0 * col + i, 1, col, Math.Min(mr, rows - i), Math.Min(StraightSteps, k - k0), to, mr);
            }
            return;
        }
        for (int i = 0; i < rows; i += mr, dst += (nint)mr * k)
            PackPanel<TKernel>(a + i * row, row, col, Math.Min(mr, rows - i), k, dst, mr);
    }

    /// <summary>Packs a block [k, columns] of the right operand into panels: <c>dst[(j / Nr)·Nr·k + p·Nr + j % Nr]</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackRightBlock<TKernel>(float* b, nint row, nint col, int k, int columns, float* dst)
        where TKernel : struct, IMicroKernel
    {
        int nr = TKernel.Nr;
        for (int j = 0; j < columns; j += nr, dst += (nint)nr * k)
            PackPanel<TKernel>(b + j * col, col, row, Math.Min(nr, columns - j), k, dst, nr);
    }

    /// <summary>Packs whole right operands [k, n] of a batch in the layout of <see cref="PackedMatrix"/>, together with the team.</summary>
    public static void PackRight<TKernel>(
        WorkerTeam team, float* b, nint row, nint col, nint batchStride, int k, int n, int batch, float* dst, bool parallel)
        where TKernel : struct, IMicroKernel
    {
        if (k == 0 || n == 0 || batch == 0)
            return;
        int kc = Gemm.BlockOfK(k), panels = (n + TKernel.Nr - 1) / TKernel.Nr, blocks = (k + kc - 1) / kc;
        RightBody<TKernel> body = new()
        {
            B = b,
            Row = row,
            Col = col,
            BatchStride = batchStride,
            K = k,
            Kc = kc,
            N = n,
            Panels = panels,
            Blocks = blocks,
            Destination = dst,
        };
        long units = checked((long)batch * blocks * panels);
        long unit = (long)kc * TKernel.Nr;
        team.For(units, parallel ? Math.Max(1, 32768 / unit) : units, ref body);
    }

    /// <summary>A panel of <paramref name="width"/> rows of the left operand, or columns of the right one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PackPanel<TKernel>(float* src, nint stride, nint kStride, int count, int k, float* dst, int width)
        where TKernel : struct, IMicroKernel
    {
        if (kStride == 1)
            TKernel.PackTransposed(src, stride, count, k, dst, width);
        else if (stride == 1 && count == width)
            PackStraight(src, kStride, k, dst, width);
        else
            PackAny(src, stride, kStride, count, k, dst, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PackStraight(float* src, nint kStride, int k, float* dst, int width)
    {
        for (; k > 0; k--, src += kStride, dst += width)
        {
            int i = 0;
            for (; i <= width - 8; i += 8)
                Vector256.Load(src + i).Store(dst + i);
            if (i <= width - 4)
            {
                Vector128.Load(src + i).Store(dst + i);
                i += 4;
            }
            for (; i < width; i += 2)
                *(double*)(dst + i) = *(double*)(src + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackAny(float* src, nint stride, nint kStride, int count, int k, float* dst, int width)
    {
        for (; k > 0; k--, src += kStride, dst += width)
        {
            for (int i = 0; i < count; i++)
                dst[i] = src[i * stride];
            for (int i = count; i < width; i++)
                dst[i] = 0f;
        }
    }

    private struct RightBody<TKernel> : IRangeBody
        where TKernel : struct, IMicroKernel
    {
        public float* B;
        public nint Row;
        public nint Col;
        public nint BatchStride;
        public int K;
        public int Kc;
        public int N;
        public int Panels;
        public int Blocks;
        public float* Destination;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            long padded = (long)Panels * TKernel.Nr;
            for (long unit = start; unit < end; unit++)
            {
                int panel = (int)(unit % Panels);
                long rest = unit / Panels;
                int k0 = (int)(rest % Blocks) * Kc;
                long element = rest / Blocks;
                int kb = Math.Min(Kc, K - k0), column = panel * TKernel.Nr;
                float* src = B + (nint)element * BatchStride + k0 * Row + column * Col;
                float* dst = Destination + (element * K + k0) * padded + (long)panel * TKernel.Nr * kb;
                PackPanel<TKernel>(src, Col, Row, Math.Min(TKernel.Nr, N - column), kb, dst, TKernel.Nr);
            }
        }
    }
}
