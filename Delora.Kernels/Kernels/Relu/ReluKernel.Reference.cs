using Delora.Core;

namespace Delora.Kernels;

public static partial class ReluKernel
{
    private static void ReferenceForward(Tensor x, Tensor y) => ReferenceMap.Unary(v => Math.Max(v, 0), x, y);

    private static void ReferenceBackward(Tensor x, Tensor dy, Tensor dx) => ReferenceMap.Binary((v, g) => v > 0 ? g : 0, x, dy, dx);
}
