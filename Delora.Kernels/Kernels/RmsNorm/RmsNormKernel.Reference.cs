using Delora.Core;

namespace Delora.Kernels;

public static partial class RmsNormKernel
{
    private static void ReferenceForward(Tensor x, Tensor weight, Tensor y, Tensor inverseRms, double epsilon)
    {
        Span<double> from = x.Span<double>(), w = weight.Span<double>(), to = y.Span<double>(), r = inverseRms.Span<double>();
        int columns = x.Shape.Columns;
        for (int i = 0; i < r.Length; i++)
        {
            double sum = 0;
            for (int j = 0; j < columns; j++) sum += from[i * columns + j] * from[i * columns + j];
            r[i] = 1 / Math.Sqrt(sum / Math.Max(1, columns) + epsilon);
            for (int j = 0; j < columns; j++) to[i * columns + j] = from[i * columns + j] * r[i] * w[j];
        }
    }

    private static void ReferenceBackward(
        Tensor x, Tensor weight, Tensor inverseRms, Tensor dy, Tensor? dx, Tensor? dweight, bool accumulate, bool accumulateWeight)
    {
        Span<double> from = x.Span<double>(), w = weight.Span<double>(), r = inverseRms.Span<double>(), d = dy.Span<double>();
        int columns = x.Shape.Columns;
        if (dweight is not null)
        {
            Span<double> dw = dweight.Span<double>();
            if (!accumulateWeight) dw.Clear();
            for (int i = 0; i < from.Length; i++) dw[i % columns] += d[i] * from[i] * r[i / columns];
        }
        if (dx is null) return;
        Span<double> to = dx.Span<double>();
        for (int i = 0; i < r.Length; i++)
        {
            double mean = 0;
            for (int j = 0; j < columns; j++) mean += d[i * columns + j] * w[j] * from[i * columns + j] * r[i] / columns;
            for (int j = i * columns; j < (i + 1) * columns; j++)
            {
                double gradient = r[i] * (d[j] * w[j % columns] - from[j] * r[i] * mean);
                to[j] = accumulate ? to[j] + gradient : gradient;
            }
        }
    }
}
