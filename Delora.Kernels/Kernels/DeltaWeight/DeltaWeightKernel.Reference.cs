using Delora.Core;

namespace Delora.Kernels;

public static partial class DeltaWeightKernel
{
    private static void ReferenceForward(Tensor foldedA, Tensor foldedB, Tensor delta)
    {
        delta.FillZero();
        ReferenceAdd(foldedA, foldedB, delta, negative: false);
    }

    private static void ReferenceAdd(Tensor foldedA, Tensor foldedB, Tensor weight, bool negative)
    {
        int rank = foldedA.Shape[0], columns = foldedA.Shape[1], rows = foldedB.Shape[0];
        Span<double> a = foldedA.Span<double>(), b = foldedB.Span<double>(), w = weight.Span<double>();
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
            {
                double sum = 0;
                for (int k = 0; k < rank; k++) sum += b[i * rank + k] * a[k * columns + j];
                w[i * columns + j] += negative ? -sum : sum;
            }
    }
}
