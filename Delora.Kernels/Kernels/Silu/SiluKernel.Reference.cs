using Delora.Core;

namespace Delora.Kernels;

public static partial class SiluKernel
{
    private static void ReferenceForward(Tensor x, Tensor y) => ReferenceMap.Unary(v => v / (1 + Math.Exp(-v)), x, y);

    private static void ReferenceBackward(Tensor x, Tensor dy, Tensor dx) => ReferenceMap.Binary((v, g) =>
    {
        double sigmoid = 1 / (1 + Math.Exp(-v));
        return g * sigmoid * (1 + v * (1 - sigmoid));
    }, x, dy, dx);
}
