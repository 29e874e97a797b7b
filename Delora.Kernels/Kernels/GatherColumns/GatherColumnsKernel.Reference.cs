using Delora.Core;

namespace Delora.Kernels;

public static partial class GatherColumnsKernel
{
    private static void ReferenceForward(Tensor a, Tensor ids, Tensor y)
    {
        int rows = a.Shape[0], columns = a.Shape[1];
        Span<int> id = ids.Span<int>();
        Span<double> from = a.Span<double>(), to = y.Span<double>();
        for (int i = 0; i < id.Length; i++)
            for (int k = 0; k < rows; k++) to[i * rows + k] = from[k * columns + id[i]];
    }

    private static void ReferenceBackward(Tensor ids, Tensor dy, Tensor da)
    {
        int rows = da.Shape[0], columns = da.Shape[1];
        Span<int> id = ids.Span<int>();
        Span<double> from = dy.Span<double>(), to = da.Span<double>();
        for (int i = 0; i < id.Length; i++)
            for (int k = 0; k < rows; k++) to[k * columns + id[i]] += from[i * rows + k];
    }
}
