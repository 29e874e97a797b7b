using Delora.Core;

namespace Delora.Kernels;

public static partial class EmbeddingBagKernel
{
    private static void ReferenceForward(Tensor ids, Tensor offsets, Tensor weight, Tensor y, bool mean)
    {
        int dim = weight.Shape.Columns;
        Span<int> id = ids.Span<int>(), start = offsets.Span<int>();
        Span<double> table = weight.Span<double>(), to = y.Span<double>();
        to.Clear();
        for (int b = 0; b + 1 < start.Length; b++)
        {
            double scale = mean ? 1.0 / (start[b + 1] - start[b]) : 1;
            for (int i = start[b]; i < start[b + 1]; i++)
                for (int c = 0; c < dim; c++) to[b * dim + c] += scale * table[id[i] * dim + c];
        }
    }

    private static void ReferenceBackward(Tensor ids, Tensor offsets, Tensor dy, Tensor dweight, bool mean)
    {
        int dim = dweight.Shape.Columns;
        Span<int> id = ids.Span<int>(), start = offsets.Span<int>();
        Span<double> from = dy.Span<double>(), to = dweight.Span<double>();
        for (int b = 0; b + 1 < start.Length; b++)
        {
            double scale = mean ? 1.0 / (start[b + 1] - start[b]) : 1;
            for (int i = start[b]; i < start[b + 1]; i++)
                for (int c = 0; c < dim; c++) to[id[i] * dim + c] += scale * from[b * dim + c];
        }
    }
}
