using Delora.Core;

namespace Delora.Kernels;

public static partial class FrozenLinearKernel
{
    private static void ReferenceForward(Tensor x, ReferenceFrozenWeight weight, Tensor? bias, Tensor y, Epilogue epilogue)
    {
        using DenseWeight dense = weight.Dense();
        MatMulKernel.Forward(x, dense.Tensor, y, MatMulLayout.NT, bias, epilogue: epilogue);
    }

    private static void ReferenceBackward(Tensor dy, ReferenceFrozenWeight weight, Tensor dx, bool accumulate)
    {
        using DenseWeight dense = weight.Dense();
        MatMulKernel.Forward(dy, dense.Tensor, dx, MatMulLayout.NN, accumulate: accumulate);
    }
}
