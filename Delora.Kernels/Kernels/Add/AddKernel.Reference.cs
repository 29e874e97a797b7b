using Delora.Core;

namespace Delora.Kernels;

public static partial class AddKernel
{
    private static void ReferenceForward(Tensor a, Tensor b, Tensor y) => ReferenceMap.Binary((left, right) => left + right, a, b, y);
}
