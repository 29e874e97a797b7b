using Delora.Core;

namespace Delora.Kernels;

public static partial class CrossEntropyKernel
{
    private static void ReferenceForward(Tensor logits, Tensor labels, Tensor losses, Tensor logSumExp, int ignoreIndex)
    {
        int columns = logits.Shape.Columns;
        Span<int> label = labels.Span<int>();
        Span<double> loss = losses.Span<double>(), z = logSumExp.Span<double>();
        for (int row = 0; row < label.Length; row++)
        {
            loss[row] = z[row] = 0;
            if (label[row] == ignoreIndex) continue;
            Span<double> x = logits.Span<double>().Slice(row * columns, columns);
            double max = double.NegativeInfinity, sum = 0;
            foreach (double v in x) max = Math.Max(max, v);
            foreach (double v in x) sum += Math.Exp(v - max);
            z[row] = max + Math.Log(sum);
            loss[row] = z[row] - x[label[row]];
        }
    }

    private static void ReferenceMean(Tensor losses, Tensor loss, int count)
    {
        double sum = 0;
        foreach (double value in losses.Span<double>()) sum += value;
        loss.Span<double>()[0] = sum / count;
    }

    private static void ReferenceBackward(
        Tensor logits, Tensor labels, Tensor logSumExp, Tensor dloss, Tensor dlogits, int stride, double scale, int ignoreIndex)
    {
        int columns = logits.Shape.Columns;
        Span<int> label = labels.Span<int>();
        Span<double> z = logSumExp.Span<double>(), g = dloss.Span<double>();
        for (int row = 0; row < label.Length; row++)
        {
            Span<double> x = logits.Span<double>().Slice(row * columns, columns), dx = dlogits.Span<double>().Slice(row * columns, columns);
            for (int j = 0; j < columns; j++)
            {
                double p = Math.Exp(x[j] - z[row]);
                dx[j] = label[row] == ignoreIndex ? 0 : (p - (j == label[row] ? 1 : 0)) * scale * g[row * stride];
            }
        }
    }
}
