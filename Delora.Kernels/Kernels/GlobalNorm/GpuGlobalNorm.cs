using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="GlobalNormKernel"/>: a group per stretch of a tensor, then one that adds up.</summary>
internal static class GpuGlobalNorm
{
    private const int ElementsPerThread = 32;

    internal static void Forward(GpuDevice gpu, ReadOnlySpan<Tensor> tensors, Tensor norm)
    {
        if (gpu.HasFloat64) Forward<Float64Sum>(gpu, tensors, norm);
        else Forward<Float32PairSum>(gpu, tensors, norm);
    }

    internal static void Forward<TSum>(GpuDevice gpu, ReadOnlySpan<Tensor> tensors, Tensor norm) where TSum : unmanaged, IGpuSum<TSum>
    {
        int group = GpuReduce.GroupSize(gpu), groups = 0;
        foreach (Tensor tensor in tensors) groups = checked(groups + WorkerTeam.ChunkCount(tensor.ElementCount, group * ElementsPerThread));
        using var partials = new GpuPartials<TSum>(gpu, groups, "GlobalNorm.partials");
        int first = 0;
        foreach (Tensor tensor in tensors)
        {
            int count = WorkerTeam.ChunkCount(tensor.ElementCount, group * ElementsPerThread);
            if (count > 0)
                gpu.LaunchGroups(PartialKernel<TSum>, new KernelConfig(count, group), gpu.View<float>(tensor),
                    partials.View.SubView(first, count));
            first += count;
        }
        partials.SquareRootOfSum(gpu.View<float>(norm));
    }

    private static void PartialKernel<TSum>(ArrayView<float> x, ArrayView<TSum> partials) where TSum : unmanaged, IGpuSum<TSum>
    {
        long start = (long)Grid.IdxX * Group.DimX * ElementsPerThread, end = start + (long)Group.DimX * ElementsPerThread;
        if (end > x.Length) end = x.Length;
        TSum sum = default;
        for (long i = start + Group.IdxX; i < end; i += Group.DimX) sum = TSum.AddProduct(sum, x[i], x[i]);
        sum = GpuDot.AddUp(sum, 1);
        if (Group.IdxX == 0) partials[Grid.IdxX] = sum;
    }
}
