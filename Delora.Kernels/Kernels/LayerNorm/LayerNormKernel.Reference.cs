using Delora.Core;

namespace Delora.Kernels;

public static partial class LayerNormKernel
{
    private static void ReferenceForward(Tensor x, Tensor weight, Tensor? bias, Tensor y, Tensor statistics, double epsilon)
    {
        Span<double> from = x.Span<double>(), w = weight.Span<double>(), to = y.Span<double>(), kept = statistics.Span<double>();
        Span<double> b = bias is null ? default : bias.Span<double>();
        int columns = x.Shape.Columns, rows = statistics.Shape[1];
        for (int i = 0; i < rows; i++)
        {
            double mean = 0, variance = 0;
            for (int j = 0; j < columns; j++) mean += from[i * columns + j] / columns;
            for (int j = 0; j < columns; j++) variance += Math.Pow(from[i * columns + j] - mean, 2) / columns;
            double inverse = 1 / Math.Sqrt(variance + epsilon);
            for (int j = 0; j < columns; j++)
                to[i * columns + j] = (from[i * columns + j] - mean) * inverse * w[j] + (bias is null ? 0 : b[j]);
            (kept[i], kept[rows + i], kept[2 * rows + i]) = (mean, 0, inverse);
        }
    }

    private static void ReferenceBackward(
        Tensor x, Tensor weight, Tensor statistics, Tensor dy, Tensor? dx, Tensor? dweight, bool accumulate, bool accumulateWeight)
    {
        Span<double> from = x.Span<double>(), w = weight.Span<double>(), d = dy.Span<double>(), kept = statistics.Span<double>();
        Span<double> dw = dweight is null ? default : dweight.Span<double>(), to = dx is null ? default : dx.Span<double>();
        int columns = x.Shape.Columns, rows = statistics.Shape[1];
        if (!accumulateWeight) dw.Clear();
        var normalized = new double[columns];
        for (int i = 0; i < rows; i++)
        {
            double inverse = kept[2 * rows + i], mean = 0, slope = 0;
            for (int j = 0; j < columns; j++)
            {
                double given = d[i * columns + j];
                normalized[j] = (from[i * columns + j] - kept[i]) * inverse + kept[rows + i];
                if (dweight is not null) dw[j] += given * normalized[j];
                mean += given * w[j] / columns;
                slope += given * w[j] * normalized[j] / columns;
            }
            if (dx is null) continue;
            for (int j = 0; j < columns; j++)
            {
                double gradient = inverse * (d[i * columns + j] * w[j] - mean - normalized[j] * slope);
                to[i * columns + j] = accumulate ? to[i * columns + j] + gradient : gradient;
            }
        }
    }
}
