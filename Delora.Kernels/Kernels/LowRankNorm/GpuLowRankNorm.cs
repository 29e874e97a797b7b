using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="LowRankNormKernel"/>: a group per element of the Gram matrices, then one that adds
/// up.</summary>
internal static class GpuLowRankNorm
{
    internal static void Forward(GpuDevice gpu, Tensor foldedA, Tensor foldedB, Tensor norm)
    {
        if (gpu.HasFloat64) Forward<Float64Sum>(gpu, foldedA, foldedB, norm);
        else Forward<Float32PairSum>(gpu, foldedA, foldedB, norm);
    }

    internal static void Forward<TSum>(GpuDevice gpu, Tensor foldedA, Tensor foldedB, Tensor norm) where TSum : unmanaged, IGpuSum<TSum>
    {
        int rank = foldedA.Shape[0];
        using var terms = new GpuPartials<TSum>(gpu, checked(rank * rank), "LowRankNorm.terms");
        gpu.LaunchGroups(
            TermsKernel<TSum>, new KernelConfig(rank * rank, GpuReduce.GroupSize(gpu)),
            gpu.View<float>(foldedA), gpu.View<float>(foldedB), rank, foldedA.Shape[1], foldedB.Shape[0], terms.View);
        terms.SquareRootOfSum(gpu.View<float>(norm));
    }

    private static void TermsKernel<TSum>(ArrayView<float> a, ArrayView<float> b, int rank, int columns, int rows, ArrayView<TSum> terms)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        int i = Grid.IdxX / rank, j = Grid.IdxX % rank;
        long rowI = (long)i * columns, rowJ = (long)j * columns;
        TSum gramA = default, gramB = default;
        for (int k = Group.IdxX; k < columns; k += Group.DimX) gramA = TSum.AddProduct(gramA, a[rowI + k], a[rowJ + k]);
        for (int k = Group.IdxX; k < rows; k += Group.DimX) gramB = TSum.AddProduct(gramB, b[(long)k * rank + i], b[(long)k * rank + j]);
        gramA = GpuDot.AddUp(gramA, 1);
        gramB = GpuDot.AddUp(gramB, 1);
        if (Group.IdxX == 0) terms[Grid.IdxX] = TSum.Multiply(gramA, gramB);
    }
}
