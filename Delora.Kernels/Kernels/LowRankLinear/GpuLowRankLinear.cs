using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The implementation of <see cref="LowRankLinearKernel"/> for GPUs. The dropout mask is made where it is used: on x as its tiles are loaded, and on v A' in
/// registers, because the product sums the branch first.
/// </summary>
internal static class GpuLowRankLinear
{
    internal static void Forward(
        GpuDevice gpu, Tensor x, GpuFrozenWeight weight, Tensor? bias, Tensor a, Tensor b, Tensor h, Tensor y, DropoutMask? dropout,
        in Epilogue epilogue)
    {
        int rows = x.Shape[0], rank = a.Shape[0];
        MatMulSize down = new(1, rows, rank, weight.In);
        if (dropout is { } mask) GpuMatrixProduct.RunMasked(gpu, ProductMask.Left, down, x, a, h, mask);
        else GpuMatrixProduct.Run(gpu, MatMulLayout.NT, down, x, a, h);
        GpuMatrixProduct.Run(
            gpu, MatMulLayout.NT, new(1, rows, weight.Out, weight.In), x, weight.Operand, y, bias, branch: new(h, b, rank), scales: weight.OperandScales,
            epilogue: epilogue);
    }

    internal static void Backward(GpuDevice gpu, Tensor x, GpuFrozenWeight weight, Tensor a, Tensor b, Tensor h, Tensor dy, Tensor? dx, Tensor? da,
        Tensor? db, DropoutMask? dropout, bool accumulateDx)
    {
        int rows = x.Shape[0], rank = a.Shape[0];
        if (db is not null) GpuMatrixProduct.Run(gpu, MatMulLayout.TN, new(1, weight.Out, rank, rows), dy, h, db);
        if (da is null && dx is null) return;
        using Tensor v = Tensor.Empty([rows, rank], h.DType, gpu, "LowRankLinear.v");
        GpuMatrixProduct.Run(gpu, MatMulLayout.NN, new(1, rows, rank, weight.Out), dy, b, v);
        if (da is not null)
        {
            MatMulSize size = new(1, rank, weight.In, rows);
            if (dropout is { } mask) GpuMatrixProduct.RunMasked(gpu, ProductMask.Right, size, v, x, da, mask);
            else GpuMatrixProduct.Run(gpu, MatMulLayout.TN, size, v, x, da);
        }
        if (dx is null) return;
        (Tensor w, WeightScales? scales) = (weight.Operand, weight.OperandScales);
        MatMulSize back = new(1, rows, weight.In, weight.Out);
        ProductBranch branch = new(v, a, rank);
        if (dropout is { } branchMask) GpuMatrixProduct.RunMaskedBranch(gpu, back, dy, w, dx, accumulateDx, branch, scales, branchMask);
        else GpuMatrixProduct.Run(gpu, MatMulLayout.NN, back, dy, w, dx, null, accumulateDx, branch, scales);
    }
}
