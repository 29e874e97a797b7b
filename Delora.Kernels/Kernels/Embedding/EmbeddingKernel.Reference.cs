using Delora.Core;

namespace Delora.Kernels;

public static partial class EmbeddingKernel
{
    private static void ReferenceForward(Tensor ids, Tensor weight, Tensor y)
    {
        int dim = weight.Shape.Columns;
        Span<int> id = ids.Span<int>();
        for (int i = 0; i < id.Length; i++)
            weight.Span<double>().Slice(id[i] * dim, dim).CopyTo(y.Span<double>().Slice(i * dim, dim));
    }

    private static void ReferenceBackward(Tensor ids, Tensor dy, Tensor dweight)
    {
        int dim = dweight.Shape.Columns;
        Span<int> id = ids.Span<int>();
        Span<double> from = dy.Span<double>(), to = dweight.Span<double>();
        for (int i = 0; i < id.Length; i++)
            for (int c = 0; c < dim; c++) to[id[i] * dim + c] += from[i * dim + c];
    }
}
