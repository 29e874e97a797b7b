using Delora.Core;

namespace Delora.Kernels;

public static partial class SigmoidKernel
{
    private static void ReferenceForward(Tensor x, Tensor y) => ReferenceMap.Unary(v => 1 / (1 + Math.Exp(-v)), x, y);

    private static void ReferenceBackward(Tensor y, Tensor dy, Tensor dx) => ReferenceMap.Binary((v, g) => g * v * (1 - v), y, dy, dx);
}
