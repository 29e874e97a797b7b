using Delora.Core;

namespace Delora.Kernels;

public static partial class MultiplyKernel
{
    private static void ReferenceForward(Tensor a, Tensor b, Tensor y) => ReferenceMap.Binary((left, right) => left * right, a, b, y);
}
