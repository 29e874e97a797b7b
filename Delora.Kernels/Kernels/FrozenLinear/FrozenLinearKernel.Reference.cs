using Delora.Core;

namespace Delora.Kernels;

public static partial class FrozenLinearKernel
{
    private static void ReferenceForward(Tensor x, ReferenceFrozenWeight weight, Tensor? bias, Tensor y) =>
        MatMulKernel.Forward(x, weight.Weight, y, MatMulLayout.NT, bias);

    private static void ReferenceBackward(Tensor dy, ReferenceFrozenWeight weight, Tensor dx, bool accumulate) =>
        MatMulKernel.Forward(dy, weight.Weight, dx, MatMulLayout.NN, accumulate: accumulate);
}
