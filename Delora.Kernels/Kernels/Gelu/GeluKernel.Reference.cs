using Delora.Core;

namespace Delora.Kernels;

public static partial class GeluKernel
{
    private static void ReferenceForward(Tensor x, Tensor y) => ReferenceMap.Unary(v => v * Cdf(v), x, y);

    private static void ReferenceBackward(Tensor x, Tensor dy, Tensor dx) =>
        ReferenceMap.Binary((v, g) => g * (Cdf(v) + v * Math.Exp(-v * v / 2) / Math.Sqrt(2 * Math.PI)), x, dy, dx);

    private static double Cdf(double v) => 0.5 * SpecialFunctions.Erfc(-v * Math.Sqrt(0.5));
}
