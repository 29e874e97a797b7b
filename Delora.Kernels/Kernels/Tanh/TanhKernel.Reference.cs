using Delora.Core;

namespace Delora.Kernels;

public static partial class TanhKernel
{
    private static void ReferenceForward(Tensor x, Tensor y) => ReferenceMap.Unary(Math.Tanh, x, y);

    private static void ReferenceBackward(Tensor y, Tensor dy, Tensor dx) => ReferenceMap.Binary((v, g) => g * (1 - v * v), y, dy, dx);
}
