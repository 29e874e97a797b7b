using Delora.Core;

namespace Delora.Kernels;

public static partial class AttentionKernel
{
    private static void ReferenceForward(
        Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, AttentionSizes sizes, double scale)
    {
        Span<double> v = value.Span<double>(), to = y.Span<double>(), z = logSumExp.Span<double>();
        to.Clear();
        z.Fill(double.NegativeInfinity);
        foreach ((int b, int h, int t) in Queries(sizes))
        {
            double[] s = ReferenceScores(query, key, mask, sizes, scale, b, h, t);
            double max = double.NegativeInfinity, sum = 0;
            foreach (double score in s) max = Math.Max(max, score);
            if (double.IsNegativeInfinity(max)) continue;
            foreach (double score in s) sum += Math.Exp(score - max);
            double logSum = max + Math.Log(sum);
            z[(int)sizes.StatisticsRow(b, h) + t] = logSum;
            int row = (int)sizes.QueryRow(b, t, h);
            for (int j = 0; j < s.Length; j++)
            {
                if (double.IsNegativeInfinity(s[j])) continue;
                int from = (int)sizes.KeyRow(b, j, h / sizes.HeadsPerKey);
                for (int c = 0; c < sizes.Dim; c++) to[row + c] += Math.Exp(s[j] - max) / sum * v[from + c];
            }
        }
    }

    private static void ReferenceBackward(
        Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, Tensor dy,
        Tensor? dquery, Tensor? dkey, Tensor? dvalue, AttentionSizes sizes, double scale)
    {
        Span<double> q = query.Span<double>(), k = key.Span<double>(), v = value.Span<double>();
        Span<double> g = dy.Span<double>(), result = y.Span<double>(), z = logSumExp.Span<double>();
        Span<double> dq = Cleared(dquery), dk = Cleared(dkey), dv = Cleared(dvalue);
        foreach ((int b, int h, int t) in Queries(sizes))
        {
            double[] s = ReferenceScores(query, key, mask, sizes, scale, b, h, t);
            int row = (int)sizes.QueryRow(b, t, h);
            double d = ReferenceDot(g[row..], result[row..], sizes.Dim);
            for (int j = 0; j < s.Length; j++)
            {
                if (double.IsNegativeInfinity(s[j])) continue;
                int from = (int)sizes.KeyRow(b, j, h / sizes.HeadsPerKey);
                double p = Math.Exp(s[j] - z[(int)sizes.StatisticsRow(b, h) + t]);
                double ds = scale * p * (ReferenceDot(g[row..], v[from..], sizes.Dim) - d);
                for (int c = 0; c < sizes.Dim; c++)
                {
                    if (!dq.IsEmpty) dq[row + c] += ds * k[from + c];
                    if (!dk.IsEmpty) dk[from + c] += ds * q[row + c];
                    if (!dv.IsEmpty) dv[from + c] += p * g[row + c];
                }
            }
        }

        static Span<double> Cleared(Tensor? gradient)
        {
            if (gradient is null) return [];
            gradient.FillZero();
            return gradient.Span<double>();
        }
    }

    private static IEnumerable<(int Batch, int Head, int Query)> Queries(AttentionSizes sizes) =>
        from b in Enumerable.Range(0, sizes.Batch)
        from h in Enumerable.Range(0, sizes.Heads)
        from t in Enumerable.Range(0, sizes.Seq)
        select (b, h, t);

    /// <summary>The scores of a query with the keys up to the last that it may see; −∞ for padding, and before its window.</summary>
    private static double[] ReferenceScores(Tensor query, Tensor key, Tensor? mask, AttentionSizes sizes, double scale, int b, int h, int t)
    {
        Span<double> q = query.Span<double>()[(int)sizes.QueryRow(b, t, h)..], k = key.Span<double>();
        var scores = new double[sizes.Visible(t)];
        for (int j = 0; j < scores.Length; j++)
        {
            bool padding = mask is not null && mask.Span<int>()[b * sizes.Capacity + j] == 0;
            scores[j] = padding || j < sizes.FirstKey(t)
                ? double.NegativeInfinity
                : scale * ReferenceDot(q, k[(int)sizes.KeyRow(b, j, h / sizes.HeadsPerKey)..], sizes.Dim);
        }
        return scores;
    }

    private static double ReferenceDot(ReadOnlySpan<double> a, ReadOnlySpan<double> b, int count)
    {
        double sum = 0;
        for (int c = 0; c < count; c++) sum += a[c] * b[c];
        return sum;
    }
}
