using Delora.Core;

namespace Delora.Kernels;

public static partial class GeluTanhKernel
{
    private static void ReferenceForward(Tensor x, Tensor y) => ReferenceMap.Unary(v => 0.5 * v * (1 + Math.Tanh(Inner(v))), x, y);

    private static void ReferenceBackward(Tensor x, Tensor dy, Tensor dx) => ReferenceMap.Binary((v, g) =>
    {
        double tanh = Math.Tanh(Inner(v)), slope = Math.Sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * v * v);
        return g * (0.5 * (1 + tanh) + 0.5 * v * (1 - tanh * tanh) * slope);
    }, x, dy, dx);

    private static double Inner(double v) => Math.Sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v);
}
