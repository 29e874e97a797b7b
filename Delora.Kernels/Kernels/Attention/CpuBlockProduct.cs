using System.Runtime.CompilerServices;

namespace Delora.Kernels;

/// <summary>
/// Products of blocks that lie in the first caches, on the calling thread and without packing: the vectors go along the columns of B and
/// C, whose rows are contiguous; A may lie in any direction. Each element is one chain of multiply-adds over the depth, in order,
/// wherever it lies.
/// </summary>
/// <remarks>The loops are never inlined: several of them in one method are more variables than the JIT keeps in registers.</remarks>
internal static unsafe class CpuBlockProduct
{
    /// <summary>C = A·B, or C += A·B.</summary>
    /// <param name="rows">Rows of A and C.</param>
    /// <param name="columns">Columns of B and C.</param>
    /// <param name="depth">Columns of A, rows of B.</param>
    /// <param name="a">First element of A.</param>
    /// <param name="aRow">Floats from one row of A to the next.</param>
    /// <param name="aDepth">Floats from one column of A to the next.</param>
    /// <param name="b">First element of B.</param>
    /// <param name="bRow">Floats from one row of B to the next.</param>
    /// <param name="c">First element of C.</param>
    /// <param name="cRow">Floats from one row of C to the next.</param>
    /// <param name="add">Whether to add to C.</param>
    internal static void Multiply<TVector>(
        int rows, int columns, int depth, float* a, nint aRow, nint aDepth, float* b, nint bRow, float* c, nint cRow, bool add)
        where TVector : unmanaged, ISimd<TVector>
    {
        int j = 0;
        for (; j + 2 * TVector.Count <= columns; j += 2 * TVector.Count)
            TwoVectors<TVector>(rows, depth, a, aRow, aDepth, b + j, bRow, c + j, cRow, add);
        for (; j + TVector.Count <= columns; j += TVector.Count)
            OneVector<TVector>(rows, depth, a, aRow, aDepth, b + j, bRow, c + j, cRow, add);
        // Narrower vectors where dim asks for them.
        if (TVector.Count > V8.Count && j + V8.Count <= columns)
        {
            OneVector<V8>(rows, depth, a, aRow, aDepth, b + j, bRow, c + j, cRow, add);
            j += V8.Count;
        }
        for (; j + V4.Count <= columns; j += V4.Count) OneVector<V4>(rows, depth, a, aRow, aDepth, b + j, bRow, c + j, cRow, add);
        for (; j < columns; j++) OneVector<V1>(rows, depth, a, aRow, aDepth, b + j, bRow, c + j, cRow, add);
    }

    /// <summary>Two vectors of columns: tiles of six rows, and of four where six do not divide what is left.</summary>
    private static void TwoVectors<T>(
        int rows, int depth, float* a, nint aRow, nint aDepth, float* b, nint bRow, float* c, nint cRow, bool add)
        where T : unmanaged, ISimd<T>
    {
        int rest = rows % 6, four = rest >= 4 ? 4 : rest >= 2 && rows >= 8 ? 8 : 0, six = (rows - four) / 6 * 6, single = rows - four - six;
        if (six > 0) SixRows<T>(six, depth, a, aRow, aDepth, b, bRow, c, cRow, add);
        a += six * aRow;
        c += six * cRow;
        if (four > 0) FourRows<T>(four, depth, a, aRow, aDepth, b, bRow, c, cRow, add);
        if (single > 0) SingleRows<T>(single, depth, a + four * aRow, aRow, aDepth, b, bRow, c + four * cRow, cRow, add);
    }

    /// <summary>Twelve sums, two vectors of B and a number of A: the sixteen registers of AVX2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void SixRows<T>(
        int rows, int depth, float* a, nint aRow, nint aDepth, float* b, nint bRow, float* c, nint cRow, bool add)
        where T : unmanaged, ISimd<T>
    {
        for (; rows > 0; rows -= 6, a += 6 * aRow, c += 6 * cRow)
        {
            T s00 = T.Set(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00;
            T s30 = s00, s31 = s00, s40 = s00, s41 = s00, s50 = s00, s51 = s00;
            float* low = c, high = c + 3 * cRow;
            if (add)
            {
                (s00, s01, s10, s11) = (T.Load(low), T.Load(low + T.Count), T.Load(low + cRow), T.Load(low + cRow + T.Count));
                (s20, s21, s30, s31) = (T.Load(low + 2 * cRow), T.Load(low + 2 * cRow + T.Count), T.Load(high), T.Load(high + T.Count));
                (s40, s41) = (T.Load(high + cRow), T.Load(high + cRow + T.Count));
                (s50, s51) = (T.Load(high + 2 * cRow), T.Load(high + 2 * cRow + T.Count));
            }
            float* lower = a, upper = a + 3 * aRow, row = b;
            for (int p = depth; p > 0; p--, lower += aDepth, upper += aDepth, row += bRow)
            {
                T b0 = T.Load(row), b1 = T.Load(row + T.Count);
                T x = T.Set(*lower);
                s00 = T.MultiplyAdd(x, b0, s00);
                s01 = T.MultiplyAdd(x, b1, s01);
                x = T.Set(lower[aRow]);
                s10 = T.MultiplyAdd(x, b0, s10);
                s11 = T.MultiplyAdd(x, b1, s11);
                x = T.Set(lower[2 * aRow]);
                s20 = T.MultiplyAdd(x, b0, s20);
                s21 = T.MultiplyAdd(x, b1, s21);
                x = T.Set(*upper);
                s30 = T.MultiplyAdd(x, b0, s30);
                s31 = T.MultiplyAdd(x, b1, s31);
                x = T.Set(upper[aRow]);
                s40 = T.MultiplyAdd(x, b0, s40);
                s41 = T.MultiplyAdd(x, b1, s41);
                x = T.Set(upper[2 * aRow]);
                s50 = T.MultiplyAdd(x, b0, s50);
                s51 = T.MultiplyAdd(x, b1, s51);
            }
            Put(s00, s01, low);
            Put(s10, s11, low + cRow);
            Put(s20, s21, low + 2 * cRow);
            Put(s30, s31, high);
            Put(s40, s41, high + cRow);
            Put(s50, s51, high + 2 * cRow);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void FourRows<T>(
        int rows, int depth, float* a, nint aRow, nint aDepth, float* b, nint bRow, float* c, nint cRow, bool add)
        where T : unmanaged, ISimd<T>
    {
        for (; rows > 0; rows -= 4, a += 4 * aRow, c += 4 * cRow)
        {
            T s00 = T.Set(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
            float* c1 = c + cRow, c2 = c1 + cRow, c3 = c2 + cRow;
            if (add)
            {
                (s00, s01, s10, s11) = (T.Load(c), T.Load(c + T.Count), T.Load(c1), T.Load(c1 + T.Count));
                (s20, s21, s30, s31) = (T.Load(c2), T.Load(c2 + T.Count), T.Load(c3), T.Load(c3 + T.Count));
            }
            float* lower = a, upper = a + 2 * aRow, row = b;
            for (int p = depth; p > 0; p--, lower += aDepth, upper += aDepth, row += bRow)
            {
                T b0 = T.Load(row), b1 = T.Load(row + T.Count);
                T x = T.Set(*lower);
                s00 = T.MultiplyAdd(x, b0, s00);
                s01 = T.MultiplyAdd(x, b1, s01);
                x = T.Set(lower[aRow]);
                s10 = T.MultiplyAdd(x, b0, s10);
                s11 = T.MultiplyAdd(x, b1, s11);
                x = T.Set(*upper);
                s20 = T.MultiplyAdd(x, b0, s20);
                s21 = T.MultiplyAdd(x, b1, s21);
                x = T.Set(upper[aRow]);
                s30 = T.MultiplyAdd(x, b0, s30);
                s31 = T.MultiplyAdd(x, b1, s31);
            }
            Put(s00, s01, c);
            Put(s10, s11, c1);
            Put(s20, s21, c2);
            Put(s30, s31, c3);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void SingleRows<T>(
        int rows, int depth, float* a, nint aRow, nint aDepth, float* b, nint bRow, float* c, nint cRow, bool add)
        where T : unmanaged, ISimd<T>
    {
        for (; rows > 0; rows--, a += aRow, c += cRow)
        {
            T s0 = add ? T.Load(c) : T.Set(0), s1 = add ? T.Load(c + T.Count) : T.Set(0);
            float* x = a, row = b;
            for (int p = depth; p > 0; p--, x += aDepth, row += bRow)
            {
                s0 = T.MultiplyAdd(T.Set(*x), T.Load(row), s0);
                s1 = T.MultiplyAdd(T.Set(*x), T.Load(row + T.Count), s1);
            }
            Put(s0, s1, c);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<T>(T first, T second, float* to) where T : unmanaged, ISimd<T>
    {
        T.Store(first, to);
        T.Store(second, to + T.Count);
    }

    /// <summary>Eight rows by one vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void OneVector<T>(
        int rows, int depth, float* a, nint aRow, nint aDepth, float* b, nint bRow, float* c, nint cRow, bool add)
        where T : unmanaged, ISimd<T>
    {
        int i = 0;
        for (; i + 8 <= rows; i += 8, a += 8 * aRow, c += 8 * cRow)
        {
            T s0 = T.Set(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
            if (add)
            {
                (s0, s1, s2, s3) = (T.Load(c), T.Load(c + cRow), T.Load(c + 2 * cRow), T.Load(c + 3 * cRow));
                (s4, s5, s6, s7) = (T.Load(c + 4 * cRow), T.Load(c + 5 * cRow), T.Load(c + 6 * cRow), T.Load(c + 7 * cRow));
            }
            float* lower = a, upper = a + 4 * aRow, row = b;
            for (int p = 0; p < depth; p++, lower += aDepth, upper += aDepth, row += bRow)
            {
                T x = T.Load(row);
                s0 = T.MultiplyAdd(T.Set(lower[0]), x, s0);
                s1 = T.MultiplyAdd(T.Set(lower[aRow]), x, s1);
                s2 = T.MultiplyAdd(T.Set(lower[2 * aRow]), x, s2);
                s3 = T.MultiplyAdd(T.Set(lower[3 * aRow]), x, s3);
                s4 = T.MultiplyAdd(T.Set(upper[0]), x, s4);
                s5 = T.MultiplyAdd(T.Set(upper[aRow]), x, s5);
                s6 = T.MultiplyAdd(T.Set(upper[2 * aRow]), x, s6);
                s7 = T.MultiplyAdd(T.Set(upper[3 * aRow]), x, s7);
            }
            T.Store(s0, c);
            T.Store(s1, c + cRow);
            T.Store(s2, c + 2 * cRow);
            T.Store(s3, c + 3 * cRow);
            T.Store(s4, c + 4 * cRow);
            T.Store(s5, c + 5 * cRow);
            T.Store(s6, c + 6 * cRow);
            T.Store(s7, c + 7 * cRow);
        }
        for (; i < rows; i++, a += aRow, c += cRow)
        {
            T sum = add ? T.Load(c) : T.Set(0);
            float* x = a, row = b;
            for (int p = 0; p < depth; p++, x += aDepth, row += bRow) sum = T.MultiplyAdd(T.Set(*x), T.Load(row), sum);
            T.Store(sum, c);
        }
    }
}
