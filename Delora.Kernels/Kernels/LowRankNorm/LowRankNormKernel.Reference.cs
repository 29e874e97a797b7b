using Delora.Core;

namespace Delora.Kernels;

public static partial class LowRankNormKernel
{
    // The dense product, element by element: no Gram matrices, so that it can judge them.
    private static void ReferenceForward(Tensor foldedA, Tensor foldedB, Tensor norm)
    {
        int rank = foldedA.Shape[0], columns = foldedA.Shape[1], rows = foldedB.Shape[0];
        Span<double> a = foldedA.Span<double>(), b = foldedB.Span<double>();
        double sum = 0;
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
            {
                double element = 0;
                for (int k = 0; k < rank; k++) element += b[i * rank + k] * a[k * columns + j];
                sum += element * element;
            }
        norm.Span<double>()[0] = Math.Sqrt(sum);
    }
}
