using Delora.Core;

namespace Delora.Kernels;

public static partial class DeloraFoldKernel
{
    private static void ReferenceForward(
        Tensor a, Tensor b, Tensor lambda, Tensor w, Tensor scales, Tensor? foldedA, Tensor? foldedB, int offset, bool negative)
    {
        int rank = a.Shape[0], columns = a.Shape[1], rows = b.Shape[0];
        Span<double> x = a.Span<double>(), y = b.Span<double>(), norms = w.Span<double>(), s = scales.Span<double>();
        double signed = negative ? -lambda.Span<double>()[0] : lambda.Span<double>()[0];
        for (int i = 0; i < rank; i++)
        {
            double sumA = 0, sumB = 0;
            for (int j = 0; j < columns; j++) sumA += x[i * columns + j] * x[i * columns + j];
            for (int k = 0; k < rows; k++) sumB += y[k * rank + i] * y[k * rank + i];
            s[i] = Math.Sqrt(sumA);
            s[rank + i] = Math.Sqrt(sumB);
            s[2 * rank + i] = DeloraScale.Scale(signed, rank, s[i], s[rank + i], DeloraScale.MinNorm);
        }
        if (foldedA is not null)
            for (int i = 0; i < rank; i++)
                for (int j = 0; j < columns; j++)
                    foldedA.Span<double>()[(offset + i) * columns + j] = x[i * columns + j] * norms[j];
        if (foldedB is not null)
            for (int k = 0; k < rows; k++)
                for (int i = 0; i < rank; i++)
                    foldedB.Span<double>()[k * foldedB.Shape[1] + offset + i] = y[k * rank + i] * s[2 * rank + i];
    }

    private static void ReferenceBackward(
        Tensor a, Tensor b, Tensor w, Tensor scales, Tensor? dFoldedA, Tensor? dFoldedB, Tensor? dA, Tensor? dB, Tensor? dLambda,
        int offset, bool negative, FoldSums sums)
    {
        int rank = a.Shape[0], columns = a.Shape[1], rows = b.Shape[0];
        Span<double> x = a.Span<double>(), y = b.Span<double>(), norms = w.Span<double>(), s = scales.Span<double>();
        double sumLambda = 0;
        for (int i = 0; i < rank; i++)
        {
            double normA = s[i], normB = s[rank + i], scale = s[2 * rank + i];
            double ds = 0;
            if (dFoldedB is not null)
                for (int k = 0; k < rows; k++) ds += y[k * rank + i] * dFoldedB.Span<double>()[k * dFoldedB.Shape[1] + offset + i];
            sumLambda += ds * DeloraScale.Scale(negative ? -1 : 1, rank, normA, normB, DeloraScale.MinNorm);
            double alongA = DeloraScale.ThroughNorm(ds, scale, normA, DeloraScale.MinNorm);
            double alongB = DeloraScale.ThroughNorm(ds, scale, normB, DeloraScale.MinNorm);
            if (dA is not null)
                for (int j = 0; j < columns; j++)
                {
                    double direct = dFoldedA is null ? 0 : norms[j] * dFoldedA.Span<double>()[(offset + i) * columns + j];
                    Put(dA, i * columns + j, direct - alongA * x[i * columns + j], FoldSums.A);
                }
            if (dB is not null)
                for (int k = 0; k < rows; k++)
                {
                    double direct = dFoldedB is null ? 0 : scale * dFoldedB.Span<double>()[k * dFoldedB.Shape[1] + offset + i];
                    Put(dB, k * rank + i, direct - alongB * y[k * rank + i], FoldSums.B);
                }
        }
        if (dLambda is not null) Put(dLambda, 0, sumLambda, FoldSums.Lambda);

        void Put(Tensor gradient, int at, double value, FoldSums which) =>
            gradient.Span<double>()[at] = (sums.HasFlag(which) ? gradient.Span<double>()[at] : 0) + value;
    }
}
