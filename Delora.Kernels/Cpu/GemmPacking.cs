using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Delora.Kernels;

/// <summary>Brings operands of any layout into the panels that a micro-kernel reads.</summary>
internal static unsafe class GemmPacking
{
    /// <summary>Rows of a left operand with contiguous columns that are packed together: three cache lines of each column.</summary>
    private const int StraightRows = 48;

    /// <summary>
    /// How many thin panels cover so many rows with least padding, the others being panels of Mr. At 12 and 8 rows any multiple of 4 from 8 on is covered
    /// exactly, at 6 and 4 any multiple of 2 from 4 on.
    /// </summary>
    public static int ThinPanels<TKernel>(int rows)
        where TKernel : struct, IMicroKernel
    {
        int best = 0, least = int.MaxValue;
        for (int thin = 0; thin <= 2; thin++)
        {
            int padded = FullRows<TKernel>(rows, thin) + thin * TKernel.ThinRows;
            if (padded < least)
                (best, least) = (thin, padded);
        }
        return best;
    }

    /// <summary>Rows that are in panels of Mr where <paramref name="thin"/> panels are thin.</summary>
    public static int FullRows<TKernel>(int rows, int thin)
        where TKernel : struct, IMicroKernel => (int)Gemm.RoundUp(Math.Max(0, rows - thin * TKernel.ThinRows), TKernel.Mr);

    /// <summary>
    /// Packs [rows, k] of the left operand into panels of Mr rows: <c>dst[(i / Mr)·Mr·k + p·Mr + i % Mr]</c>; after them, into
    /// <paramref name="thin"/> panels of fewer rows.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackLeft<TKernel>(float* a, nint row, nint col, int rows, int thin, int k, float* dst)
        where TKernel : struct, IMicroKernel
    {
        int full = FullRows<TKernel>(rows, thin);
        PackPanels<TKernel>(a, row, col, Math.Min(full, rows), k, dst, TKernel.Mr);
        PackPanels<TKernel>(a + full * row, row, col, Math.Max(0, rows - full), k, dst + (nint)full * k, TKernel.ThinRows);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PackPanels<TKernel>(float* a, nint row, nint col, int rows, int k, float* dst, int height)
        where TKernel : struct, IMicroKernel
    {
        if (row == 1 && col != 1)
        {
            int whole = rows / height;
            for (int i = 0; i < whole; i += StraightRows / height)
                PackStraightPanels(a + i * height, col, Math.Min(StraightRows / height, whole - i), k, dst + (nint)i * height * k, height);
            a += whole * height;
            rows -= whole * height;
            dst += (nint)whole * height * k;
        }
        for (int i = 0; i < rows; i += height, dst += (nint)height * k)
            PackPanel<TKernel>(a + i * row, row, col, Math.Min(height, rows - i), k, dst, height);
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
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PackStraightPanels(float* src, nint kStride, int panels, int k, float* dst, int height)
    {
        nint panel = (nint)height * k;
        for (int p = 0; p < k; p++, src += kStride, dst += height)
        {
            float* from = src, to = dst;
            for (int i = 0; i < panels; i++, from += height, to += panel)
            {
                // 12 or 8 rows, 6 or 4
                if (height >= 8)
                    Vector256.Load(from).Store(to);
                else
                    Vector128.Load(from).Store(to);
                if (height == 12)
                    Vector128.Load(from + 8).Store(to + 8);
                else if (height == 6)
                    *(double*)(to + 4) = *(double*)(from + 4);
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
