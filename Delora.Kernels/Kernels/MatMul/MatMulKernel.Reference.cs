using Delora.Core;

namespace Delora.Kernels;

public static partial class MatMulKernel
{
    private static void ReferenceForward(
        MatMulSize size, Tensor a, Tensor b, Tensor c, MatMulLayout layout, Tensor? bias, bool accumulate, Epilogue epilogue)
    {
        (int batch, int m, int n, int k) = size;
        Span<double> left = a.Span<double>(), right = b.Span<double>(), output = epilogue.ProductIn(c).Span<double>();
        Span<double> offset = bias is null ? default : bias.Span<double>();
        for (int q = 0; q < batch; q++)
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++)
                {
                    double sum = 0;
                    for (int p = 0; p < k; p++)
                        sum += left[layout == MatMulLayout.TN ? (q * k + p) * m + i : (q * m + i) * k + p]
                             * right[layout == MatMulLayout.NT ? (q * n + j) * k + p : (q * k + p) * n + j];
                    if (bias is not null) sum += offset[j];
                    ref double target = ref output[(q * m + i) * n + j];
                    target = accumulate ? target + sum : sum;
                }
        epilogue.MakeAfterwards(c);
    }
}
