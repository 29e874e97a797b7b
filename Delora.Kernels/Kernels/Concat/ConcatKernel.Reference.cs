using Delora.Core;

namespace Delora.Kernels;

public static partial class ConcatKernel
{
    private static void ReferenceCopy(Tensor part, Tensor whole, ConcatRows rows, bool fromWhole)
    {
        Span<double> p = part.Span<double>(), w = whole.Span<double>();
        for (int i = 0; i < p.Length; i++)
        {
            int at = checked((int)(i / rows.Length * rows.Stride + rows.Start + i % rows.Length));
            if (fromWhole) p[i] = w[at];
            else w[at] = p[i];
        }
    }
}
