using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Delora.Kernels;

/// <summary>Brings operands of any layout into the panels that a micro-kernel reads.</summary>
internal static unsafe class GemmPacking
{
    /// <summary>Rows of a left operand with contiguous columns that are packed together: three cache lines of each column.</summary>
    private const int StraightRows = 48;

    /// <summary>Packs [rows, k] of the left operand into panels of Mr rows: <c>dst[(i / Mr)·Mr·k + p·Mr + i % Mr]</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackLeft<TKernel>(float* a, nint row, nint col, int rows, int k, float* dst)
        where TKernel : struct, IMicroKernel
    {
        int mr = TKernel.Mr;
        if (row == 1 && col != 1)
        {
            int whole = rows / mr;
            for (int i = 0; i < whole; i += StraightRows / mr)
                PackStraightPanels<TKernel>(a + i * mr, col, Math.Min(StraightRows / mr, whole - i), k, dst + (nint)i * mr * k);
            if (whole * mr < rows)
                PackPanel<TKernel>(a + whole * mr, 1, col, rows - whole * mr, k, dst + (nint)whole * mr * k, mr);
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

    /// <summary>
    /// Several whole panels of the left operand step by step. Panels share cache lines, and columns that lie 2 KiB or more apart fall into few sets of the
    /// first cache, which would lose a line before the next panel wants the rest of it.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackStraightPanels<TKernel>(float* src, nint kStride, int panels, int k, float* dst)
        where TKernel : struct, IMicroKernel
    {
        int mr = TKernel.Mr;
        nint panel = (nint)mr * k;
        for (int p = 0; p < k; p++, src += kStride, dst += mr)
        {
            float* from = src, to = dst;
            for (int i = 0; i < panels; i++, from += mr, to += panel)
            {
                if (mr == 12)
                {
                    Vector256.Load(from).Store(to);
                    Vector128.Load(from + 8).Store(to + 8);
                }
                else // 6
                {
                    Vector128.Load(from).Store(to);
                    *(double*)(to + 4) = *(double*)(from + 4);
                }
            }
        }
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
