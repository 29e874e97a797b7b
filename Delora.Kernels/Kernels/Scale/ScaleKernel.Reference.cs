using Delora.Core;

namespace Delora.Kernels;

public static partial class ScaleKernel
{
    private static void ReferenceForward(Tensor x, double factor, Tensor y) => ReferenceMap.Unary(v => factor * v, x, y);
}
