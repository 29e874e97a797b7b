using Delora.Core;

namespace Delora.Kernels;

public static partial class LowRankLinearKernel
{
    private static void ReferenceForward(Tensor x, ReferenceFrozenWeight weight, Tensor? bias, Tensor a, Tensor b, Tensor h, Tensor y, DropoutMask? dropout,
        Epilogue epilogue)
    {
        using Tensor? masked = dropout is { } mask ? ReferenceMask(x, mask) : null;
        MatMulKernel.Forward(masked ?? x, a, h, MatMulLayout.NT);
        using DenseWeight dense = weight.Dense();
        Tensor product = epilogue.ProductIn(y);
        MatMulKernel.Forward(x, dense.Tensor, product, MatMulLayout.NT, bias);
        MatMulKernel.Forward(h, b, product, MatMulLayout.NT, accumulate: true);
        epilogue.MakeAfterwards(y);
    }

    private static void ReferenceBackward(Tensor x, ReferenceFrozenWeight weight, Tensor a, Tensor b, Tensor h, Tensor dy, Tensor? dx, Tensor? da,
        Tensor? db, DropoutMask? dropout, bool accumulateDx)
    {
        using Tensor v = Tensor.Empty(h.Shape, h.DType, h.Device, "LowRankLinear.v");
        MatMulKernel.Forward(dy, b, v);
        if (db is not null) MatMulKernel.Forward(dy, h, db, MatMulLayout.TN);
        using Tensor? masked = dropout is { } mask ? ReferenceMask(x, mask) : null;
        if (da is not null) MatMulKernel.Forward(v, masked ?? x, da, MatMulLayout.TN);
        if (dx is null) return;
        using DenseWeight dense = weight.Dense();
        MatMulKernel.Forward(dy, dense.Tensor, dx, accumulate: accumulateDx);
        using Tensor branch = Tensor.Empty(dx.Shape, dx.DType, dx.Device, "LowRankLinear.branch");
        MatMulKernel.Forward(v, a, branch);
        using Tensor? maskedBranch = dropout is { } again ? ReferenceMask(branch, again) : null;
        AddKernel.Forward(dx, maskedBranch ?? branch, dx);
    }

    private static Tensor ReferenceMask(Tensor x, DropoutMask mask)
    {
        Tensor masked = Tensor.Empty(x.Shape, x.DType, x.Device, "LowRankLinear.masked");
        Span<double> from = x.Span<double>(), to = masked.Span<double>();
        for (int i = 0; i < from.Length; i++) to[i] = from[i] * mask.Factor(i);
        return masked;
    }
}
