using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="NonFiniteKernel"/>: a group per stretch of a tensor, then one that adds up.</summary>
internal static class GpuNonFinite
{
    private const int ElementsPerThread = 32;
    private const uint Exponent = 0x7F80_0000u;

    internal static void Forward(GpuDevice gpu, ReadOnlySpan<Tensor> tensors, Tensor count)
    {
        int group = GpuReduce.GroupSize(gpu), groups = 0;
        foreach (Tensor tensor in tensors) groups = checked(groups + WorkerTeam.ChunkCount(tensor.ElementCount, group * ElementsPerThread));
        using Tensor partials = Tensor.Empty([Math.Max(groups, 1)], DType.Int32, gpu, "NonFinite.partials");
        int first = 0;
        foreach (Tensor tensor in tensors)
        {
            int own = WorkerTeam.ChunkCount(tensor.ElementCount, group * ElementsPerThread);
            if (own > 0)
                gpu.LaunchGroups(PartialKernel, new KernelConfig(own, group), gpu.View<float>(tensor),
                    gpu.View<int>(partials).SubView(first, own));
            first += own;
        }
        gpu.LaunchGroups(SumKernel, new KernelConfig(1, group), gpu.View<int>(partials), groups, gpu.View<int>(count));
    }

    private static void PartialKernel(ArrayView<float> x, ArrayView<int> partials)
    {
        long start = (long)Grid.IdxX * Group.DimX * ElementsPerThread, end = start + (long)Group.DimX * ElementsPerThread;
        if (end > x.Length) end = x.Length;
        long count = 0;
        for (long i = start + Group.IdxX; i < end; i += Group.DimX)
            if ((Interop.FloatAsInt(x[i]) & Exponent) == Exponent) count++;
        count = AddUp(count);
        if (Group.IdxX == 0) partials[Grid.IdxX] = (int)count;
    }

    private static void SumKernel(ArrayView<int> partials, int length, ArrayView<int> count)
    {
        long sum = 0;
        for (int i = Group.IdxX; i < length; i += Group.DimX) sum += partials[i];
        sum = AddUp(sum);
        if (Group.IdxX == 0) count[0] = sum > int.MaxValue ? int.MaxValue : (int)sum;
    }

    private static long AddUp(long own)
    {
        ArrayView<long> shared = SharedMemory.Allocate<long>(GpuDot.MaxGroup);
        int t = Group.IdxX;
        shared[t] = own;
        Group.Barrier();
        for (int half = Group.DimX / 2; half > 0; half /= 2)
        {
            if (t < half) shared[t] += shared[t + half];
            Group.Barrier();
        }
        return shared[0];
    }
}
