using Delora.Core;

namespace Delora.Kernels;

public static partial class SamplingKernel
{
    private static void ReferenceDraw(Tensor logits, Tensor ids, SamplingOptions options, RandomStream stream)
    {
        int columns = logits.Shape.Columns;
        Span<int> to = ids.Span<int>();
        for (int row = 0; row < to.Length; row++)
        {
            Span<double> z = logits.Span<double>().Slice(row * columns, columns);
            double threshold = ReferenceThreshold(z, options), max = z[to[row]], best = double.NegativeInfinity;
            for (int j = 0; j < columns; j++)
            {
                if (z[j] < threshold || double.IsNegativeInfinity(z[j])) continue;
                double u = 1 - ((stream.Word((long)row * columns + j) >> 1) + 0.5) / 2147483648.0;
                double score = (z[j] - max) / options.Temperature - Math.Log(-Math.Log(u));
                if (score > best) (best, to[row]) = (score, j);
            }
        }
    }

    private static double ReferenceThreshold(ReadOnlySpan<double> z, SamplingOptions options)
    {
        double[] sorted = z.ToArray();
        Array.Sort(sorted, static (a, b) => b.CompareTo(a));
        double threshold = options.TopK > 0 && options.TopK < z.Length ? sorted[options.TopK - 1] : double.NegativeInfinity;
        if (options.TopP == 1) return threshold;
        double total = 0, sum = 0;
        foreach (double value in sorted)
            if (value >= threshold) total += Math.Exp((value - sorted[0]) / options.Temperature);
        foreach (double value in sorted)
        {
            sum += Math.Exp((value - sorted[0]) / options.Temperature);
            if (sum >= options.TopP * total) return value;
        }
        return threshold;
    }
}
