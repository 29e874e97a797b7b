using Delora.Core;

namespace Delora.Kernels;

public static partial class LinearCrossEntropyKernel
{
    private static void ReferenceForward(
        Tensor x, Tensor weight, Tensor labels, Tensor loss, Tensor? dx, Tensor? dweight, int count, int ignoreIndex)
    {
        int vocabulary = weight.Shape[0], dim = weight.Shape[1];
        Span<double> w = weight.Span<double>(), dw = dweight is null ? [] : dweight.Span<double>(), allDx = dx is null ? [] : dx.Span<double>();
        Span<int> label = labels.Span<int>();
        double[] logits = new double[vocabulary];
        dw.Clear();
        allDx.Clear();
        double sumOfLosses = 0;
        for (int row = 0; row < label.Length; row++)
        {
            if (label[row] == ignoreIndex) continue;
            Span<double> from = x.Span<double>().Slice(row * dim, dim);
            double max = double.NegativeInfinity, sum = 0;
            for (int j = 0; j < vocabulary; j++)
            {
                logits[j] = 0;
                for (int k = 0; k < dim; k++) logits[j] += from[k] * w[j * dim + k];
                max = Math.Max(max, logits[j]);
            }
            foreach (double logit in logits) sum += Math.Exp(logit - max);
            double z = max + Math.Log(sum);
            sumOfLosses += z - logits[label[row]];
            for (int j = 0; j < vocabulary; j++)
            {
                double d = (Math.Exp(logits[j] - z) - (j == label[row] ? 1 : 0)) / count;
                for (int k = 0; k < dim && dx is not null; k++) allDx[row * dim + k] += d * w[j * dim + k];
                for (int k = 0; k < dim && dweight is not null; k++) dw[j * dim + k] += d * from[k];
            }
        }
        loss.Span<double>()[0] = sumOfLosses / count;
    }

    private static void ReferenceBackward(Tensor dloss, Tensor saved, Tensor gradient, bool accumulate)
    {
        double factor = dloss.Span<double>()[0];
        if (accumulate) ReferenceMap.Binary((sum, v) => sum + factor * v, gradient, saved, gradient);
        else ReferenceMap.Unary(v => factor * v, saved, gradient);
    }
}
