using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The ILGPU implementation of <see cref="LowRankLinearKernel"/>. The dropout mask is made where it is used: on x as its tiles are loaded, and on
/// v A' in registers, because the product sums the branch first.
/// </summary>
internal static class GpuLowRankLinear
{
    internal static void Forward(
        GpuDevice gpu, Tensor x, GpuFrozenWeight weight, Tensor? bias, Tensor a, Tensor b, Tensor h, Tensor y, DropoutMask? dropout)
    {
        int rows = x.Shape[0], rank = a.Shape[0];
        MatMulSize down = new(1, rows, rank, weight.In);
        if (dropout is { } mask) GpuTiledProduct.Run<LayoutNT, LeftMask>(gpu, down, x, a, h, mask: mask);
        else GpuTiledProduct.Run<LayoutNT, NoMask>(gpu, down, x, a, h);
        using DenseWeight dense = weight.Dense();
        GpuTiledProduct.Run<LayoutNT, NoMask>(gpu, new(1, rows, weight.Out, weight.In), x, dense.Tensor, h, b, rank, y, bias, false, default);
    }

    internal static void Backward(GpuDevice gpu, Tensor x, GpuFrozenWeight weight, Tensor a, Tensor b, Tensor h, Tensor dy, Tensor? dx, Tensor? da,
        Tensor? db, DropoutMask? dropout, bool accumulateDx)
    {
        int rows = x.Shape[0], rank = a.Shape[0];
        if (db is not null) GpuTiledProduct.Run<LayoutTN, NoMask>(gpu, new(1, weight.Out, rank, rows), dy, h, db);
        if (da is null && dx is null) return;
        using Tensor v = Tensor.Empty([rows, rank], h.DType, gpu, "LowRankLinear.v");
        GpuTiledProduct.Run<LayoutNN, NoMask>(gpu, new(1, rows, rank, weight.Out), dy, b, v);
        if (da is not null)
        {
            MatMulSize size = new(1, rank, weight.In, rows);
            if (dropout is { } mask) GpuTiledProduct.Run<LayoutTN, RightMask>(gpu, size, v, x, da, mask: mask);
            else GpuTiledProduct.Run<LayoutTN, NoMask>(gpu, size, v, x, da);
        }
        if (dx is null) return;
        using DenseWeight dense = weight.Dense();
        MatMulSize back = new(1, rows, weight.In, weight.Out);
        if (dropout is { } branchMask)
            GpuTiledProduct.Run<LayoutNN, BranchMask>(gpu, back, dy, dense.Tensor, v, a, rank, dx, null, accumulateDx, branchMask);
        else
            GpuTiledProduct.Run<LayoutNN, NoMask>(gpu, back, dy, dense.Tensor, v, a, rank, dx, null, accumulateDx, default);
    }
}
