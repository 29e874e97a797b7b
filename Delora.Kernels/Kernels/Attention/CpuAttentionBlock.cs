using System.Runtime.CompilerServices;

namespace Delora.Kernels;

/// <summary>
/// The pieces of the CPU's attention that work on a block of queries and a block of keys. Tiles lie with the keys as rows and the queries
/// as columns, [keys, width]: the vectors then go along the queries, however small dim is, and maxima and sums over keys are plain vector
/// operations.
/// </summary>
internal static unsafe class CpuAttentionBlock
{
    /// <summary>Queries in a block; a multiple of two vectors of every width.</summary>
    internal const int Queries = 32;

    /// <summary>Keys in a block.</summary>
    internal const int Keys = 64;

    /// <summary>Columns of the tiles for so many queries: whole vectors, the columns without a query are zeros.</summary>
    internal static int Width<TVector>(int queries) where TVector : unmanaged, ISimd<TVector> =>
        (queries + TVector.Count - 1) / TVector.Count * TVector.Count;

    /// <summary>to[c, t] = factor · from[t, c], [dim, width].</summary>
    internal static void Transpose(float* from, nint stride, int queries, int dim, float factor, float* to, int width)
    {
        for (int t = 0; t < queries; t++, from += stride)
            for (int c = 0; c < dim; c++) to[c * width + t] = factor * from[c];
        for (int c = 0; c < dim && queries < width; c++) new Span<float>(to + c * width + queries, width - queries).Clear();
    }

    /// <summary>Scores become −∞ where the key is padding, comes after the query, or before its window.</summary>
    /// <param name="sizes">The measures.</param>
    /// <param name="mask">The mask of the batch row; null for none.</param>
    /// <param name="key">The first key.</param>
    /// <param name="keys">Number of keys.</param>
    /// <param name="query">The first query.</param>
    /// <param name="scores">[keys, width].</param>
    /// <param name="width">Columns.</param>
    internal static void Hide(in AttentionSizes sizes, int* mask, int key, int keys, int query, float* scores, int width)
    {
        for (int j = key; j < key + keys; j++, scores += width)
        {
            bool padding = mask != null && mask[j] == 0;
            int hidden = padding ? width : Math.Min(sizes.FirstQuery(j) - query, width);
            if (hidden > 0) new Span<float>(scores, hidden).Fill(float.NegativeInfinity);
            int past = Math.Max(sizes.EndQuery(j) - query, 0);
            if (past < Math.Min(sizes.Seq - query, width)) new Span<float>(scores + past, width - past).Fill(float.NegativeInfinity);
        }
    }

    /// <summary>The keys that are not padding lie in [First, End); the two are equal where there are none.</summary>
    internal static (int First, int End) Range(int* mask, int keys)
    {
        if (mask == null) return (0, keys);
        Span<int> row = new(mask, keys);
        int first = row.IndexOfAnyExcept(0);
        return first < 0 ? (0, 0) : (first, row.LastIndexOfAnyExcept(0) + 1);
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
                TVector e = SimdMath.Exp(TVector.Load(s) - shift);
                total += e;
                TVector.Store(e, s);
            }
            TVector old = SimdMath.Exp(before - shift);
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

    /// <summary>On the way back: scores become p = e^(s − z), and dp becomes ds = p (dp − d).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    internal static void Differentiate<TVector>(float* scores, float* dp, int keys, int width, float* z, float* d)
        where TVector : unmanaged, ISimd<TVector>
    {
        for (int j = 0; j < keys; j++, scores += width, dp += width)
            for (int t = 0; t < width; t += TVector.Count)
            {
                TVector p = SimdMath.Exp(TVector.Load(scores + t) - TVector.Load(z + t));
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
