using System.Runtime.CompilerServices;

namespace Delora.Kernels;

/// <summary>
/// The pieces of the CPU's attention that work on a block of queries and a block of keys. Tiles lie with the keys as rows and the queries
/// as columns, [keys, width]: the vectors then go along the queries, however small dim is, and maxima and sums over keys are plain vector
/// operations.
/// </summary>
internal static unsafe class CpuAttentionBlock
{
    /// <summary>Queries in a block of the way back; a multiple of <see cref="Strip"/>.</summary>
    internal const int Queries = 32;

    /// <summary>Keys in a block.</summary>
    internal const int Keys = 64;

    /// <summary>
    /// Queries that a register tile takes at a time, two vectors. Where queries see different keys, each strip computes no more keys than its
    /// last query sees.
    /// </summary>
    internal static int Strip<TVector>() where TVector : unmanaged, ISimd<TVector> => 2 * TVector.Count;

    /// <summary>Columns of the tiles for so many queries: whole vectors, the columns without a query are zeros.</summary>
    internal static int Width<TVector>(int queries) where TVector : unmanaged, ISimd<TVector> => RoundUp<TVector>(queries);

    /// <summary>Floats in a row of dim elements that begins at a whole vector.</summary>
    internal static int RoundUp<TVector>(int count) where TVector : unmanaged, ISimd<TVector> =>
        checked(count + TVector.Count - 1) / TVector.Count * TVector.Count;

    /// <summary>to[c, t] = factor · from[t, c], [columns, width]: rows of from become columns; those up to width, whole vectors, zeros.</summary>
    internal static void Transpose<TVector>(float* from, nint stride, int rows, int columns, float factor, float* to, int width)
        where TVector : unmanaged, ISimd<TVector>
    {
        switch (TVector.Count)
        {
            case 16: MicroKernel512.PackTransposed(from, stride, rows, columns, to, width); break;
            case 8: MicroKernel256.PackTransposed(from, stride, rows, columns, to, width); break;
            default: MicroKernel128.PackTransposed(from, stride, rows, columns, to, width); break;
        }
        if (factor != 1) CpuRow.Map<CpuScaled, TVector>(new(factor), to, to, (long)columns * width);
    }

    /// <summary>Scores become −∞ where the key is padding, comes after the query, or before its window.</summary>
    /// <param name="sizes">The measures.</param>
    /// <param name="mask">The mask of the batch row; null for none.</param>
    /// <param name="key">The first key.</param>
    /// <param name="keys">Number of keys.</param>
    /// <param name="query">The first query.</param>
    /// <param name="scores">[keys, columns], one column for each query.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="width">Floats from one row to the next.</param>
    internal static void Hide(in AttentionSizes sizes, int* mask, int key, int keys, int query, float* scores, int columns, int width)
    {
        for (int j = key; j < key + keys; j++, scores += width)
        {
            bool padding = mask != null && mask[j] == 0;
            int seen = padding ? columns : Math.Clamp(sizes.FirstQuery(j) - query, 0, columns);
            int end = padding ? columns : Math.Clamp(sizes.EndQuery(j) - query, seen, columns);
            for (int t = 0; t < seen; t++) scores[t] = float.NegativeInfinity;
            for (int t = end; t < columns; t++) scores[t] = float.NegativeInfinity;
        }
    }

    /// <summary>
    /// One step of the softmax over blocks of keys: scores become e^(s − maximum), maximum and sum take the block in, and factor is what
    /// earlier results must be multiplied by, e^(old maximum − maximum).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    internal static void Softmax<TVector>(float* scores, int keys, int width, float* maximum, float* sum, float* factor)
        where TVector : unmanaged, ISimd<TVector>
    {
        TVector masked = TVector.Set(float.NegativeInfinity);
        for (int c = 0; c < width; c += TVector.Count)
        {
            TVector before = TVector.Load(maximum + c), max = before, odd = before;
            float* s = scores + c;
            // NaN is passed over here, and makes e^(s − max) NaN below. Two maxima: one would wait for itself.
            for (int j = 0; j + 2 <= keys; j += 2, s += 2 * width)
            {
                TVector score = TVector.Load(s), next = TVector.Load(s + width);
                max = TVector.Select(TVector.GreaterThan(score, max), score, max);
                odd = TVector.Select(TVector.GreaterThan(next, odd), next, odd);
            }
            if (keys % 2 != 0)
            {
                TVector last = TVector.Load(s);
                max = TVector.Select(TVector.GreaterThan(last, max), last, max);
            }
            max = TVector.Select(TVector.GreaterThan(odd, max), odd, max);
            // Where all is masked, e^(−∞ − 0) is the 0 that it should be.
            TVector shift = TVector.Select(TVector.GreaterThan(max, masked), max, TVector.Set(0)), total = TVector.Set(0);
            s = scores + c;
            for (int j = 0; j < keys; j++, s += width)
            {
                TVector e = SimdMath.ExpNonPositive(TVector.Load(s) - shift);
                total += e;
                TVector.Store(e, s);
            }
            TVector old = SimdMath.ExpNonPositive(before - shift);
            TVector.Store(max, maximum + c);
            TVector.Store(old, factor + c);
            TVector.Store(TVector.MultiplyAdd(TVector.Load(sum + c), old, total), sum + c);
        }
    }

    /// <summary>values[c, t] *= factor[t], [rows, width].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    internal static void ScaleColumns<TVector>(float* values, int rows, int width, float* factor) where TVector : unmanaged, ISimd<TVector>
    {
        for (int c = 0; c < rows; c++, values += width)
            for (int t = 0; t < width; t += TVector.Count)
                TVector.Store(TVector.Load(values + t) * TVector.Load(factor + t), values + t);
    }

    /// <summary>On the way back: scores become p = e^(s − z), and dp becomes ds = p (dp − d), [keys, columns].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    internal static void Differentiate<TVector>(float* scores, float* dp, int keys, int columns, int width, float* z, float* d)
        where TVector : unmanaged, ISimd<TVector>
    {
        for (int j = 0; j < keys; j++, scores += width, dp += width)
            for (int t = 0; t < columns; t += TVector.Count)
            {
                TVector p = SimdMath.ExpNonPositive(TVector.Load(scores + t) - TVector.Load(z + t));
                TVector.Store(p, scores + t);
                TVector.Store(p * (TVector.Load(dp + t) - TVector.Load(d + t)), dp + t);
            }
    }

    /// <summary>Σ a_c b_c.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    internal static float Dot<TVector>(float* a, float* b, int count) where TVector : unmanaged, ISimd<TVector>
    {
        TVector s0 = TVector.Set(0), s1 = s0;
        int c = 0;
        for (; c + 2 * TVector.Count <= count; c += 2 * TVector.Count)
        {
            s0 = TVector.MultiplyAdd(TVector.Load(a + c), TVector.Load(b + c), s0);
            s1 = TVector.MultiplyAdd(TVector.Load(a + c + TVector.Count), TVector.Load(b + c + TVector.Count), s1);
        }
        if (c + TVector.Count <= count)
        {
            s0 = TVector.MultiplyAdd(TVector.Load(a + c), TVector.Load(b + c), s0);
            c += TVector.Count;
        }
        float sum = TVector.Sum(s0 + s1);
        for (; c < count; c++) sum += a[c] * b[c];
        return sum;
    }
}
