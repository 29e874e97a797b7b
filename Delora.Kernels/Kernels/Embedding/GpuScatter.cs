using System.Numerics;
using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// The scatter-add of the embeddings' gradients on a GPU, without atomics on floats: the places are sorted by (id, place), a group takes
/// each run of one id and adds its rows in order. The keys are all different, so any sort gives the one order; this one is bitonic, with
/// the short distances in shared memory. A run is added up by one group: an id that makes up most of a long batch limits the speed.
/// </summary>
internal static class GpuScatter
{
    /// <summary>A launch of one group per row of <paramref name="dim"/> elements.</summary>
    internal static KernelConfig RowConfig(GpuDevice gpu, long rows, int dim)
    {
        int size = (int)Math.Min((uint)GpuReduce.GroupSize(gpu), BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, dim)));
        return new KernelConfig(checked((int)rows), size);
    }

    /// <summary>
    /// table[ids[i]] += scale_b · rows[b], where b is the bag that place i belongs to, or i itself where there are no <paramref
    /// name="offsets"/>; scale_b is 1, or with <paramref name="mean"/> one over the length of the bag. The ids are in range. With
    /// <paramref name="byColumns"/> they are columns of the table [dim, vocab] instead of rows.
    /// </summary>
    internal static void Add(GpuDevice gpu, Tensor ids, Tensor? offsets, bool mean, Tensor rows, Tensor table, bool byColumns = false)
    {
        int count = checked((int)ids.ElementCount), dim = byColumns ? table.Shape[0] : table.Shape.Columns;
        // From one id to the next, and from one of its elements to the next.
        (int idStride, int stride) = byColumns ? (1, table.Shape.Columns) : (dim, 1);
        if (count == 0 || dim == 0) return;
        using Tensor bags = Tensor.Empty([offsets is null ? 1 : count], DType.Int32, gpu, "scatter bags");
        ArrayView<int> offsetView = gpu.View<int>(offsets ?? bags);
        if (offsets is not null) gpu.LaunchGroups(BagsKernel, new KernelConfig(offsets.Shape[0] - 1, GpuReduce.GroupSize(gpu)),
            offsetView, gpu.View<int>(bags));
        using Tensor keys = SortedKeys(gpu, ids, count);
        gpu.LaunchGroups(AddKernel, RowConfig(gpu, count, dim), gpu.View<long>(keys).SubView(0, count), gpu.View<int>(bags), offsetView,
            gpu.View<float>(rows), gpu.View<float>(table), dim, idStride, stride, offsets is null ? 0 : mean ? 2 : 1);
    }

    private static Tensor SortedKeys(GpuDevice gpu, Tensor ids, int count)
    {
        int group = GpuReduce.GroupSize(gpu), block = 2 * group;
        int padded = checked((int)Math.Max((uint)block, BitOperations.RoundUpToPowerOf2((uint)count)));
        Tensor keys = Tensor.Empty([padded], DType.Int64, gpu, "scatter keys");
        ArrayView<long> view = gpu.View<long>(keys);
        gpu.Launch(KeysKernel, padded, gpu.View<int>(ids), view);
        var local = new KernelConfig(padded / block, group, SharedMemoryConfig.RequestDynamic<long>(block));
        gpu.LaunchGroups(SortBlocks, local, view, 2, block);
        for (long size = 2L * block; size <= padded; size *= 2)
        {
            for (long distance = size / 2; distance > group; distance /= 2) gpu.Launch(SortStep, padded / 2, view, (int)distance,
                (int)size);
            gpu.LaunchGroups(SortBlocks, local, view, (int)size, (int)size);
        }
        return keys;
    }

    private static void KeysKernel(Index1D i, ArrayView<int> ids, ArrayView<long> keys) =>
        keys[i] = i < ids.Length ? ((long)ids[i] << 32) | (uint)i.X : long.MaxValue;

    private static void BagsKernel(ArrayView<int> offsets, ArrayView<int> bags)
    {
        int end = offsets[Grid.IdxX + 1];
        for (int i = offsets[Grid.IdxX] + Group.IdxX; i < end; i += Group.DimX) bags[i] = Grid.IdxX;
    }

    /// <summary>
    /// Compares and exchanges the keys that are <paramref name="distance"/> apart, toward sorted runs of <paramref name="size"/>.
    /// </summary>
    private static void SortStep(Index1D i, ArrayView<long> keys, int distance, int size)
    {
        int low = i.X / distance * 2 * distance + i.X % distance;
        long a = keys[low], b = keys[low + distance];
        bool ascending = (low & size) == 0;
        if (a > b == ascending)
        {
            keys[low] = b;
            keys[low + distance] = a;
        }
    }

    /// <summary>
    /// The steps of sizes <paramref name="firstSize"/> to <paramref name="lastSize"/> whose distances lie within a group's block.
    /// </summary>
    private static void SortBlocks(ArrayView<long> keys, int firstSize, int lastSize)
    {
        ArrayView<long> shared = SharedMemory.GetDynamic<long>();
        int thread = Group.IdxX, group = Group.DimX, start = Grid.IdxX * 2 * group;
        shared[thread] = keys[start + thread];
        shared[thread + group] = keys[start + thread + group];
        Group.Barrier();
        for (long size = firstSize; size <= lastSize; size *= 2)
            for (int distance = size / 2 < group ? (int)(size / 2) : group; distance > 0; distance /= 2)
            {
                int low = thread / distance * 2 * distance + thread % distance;
                long a = shared[low], b = shared[low + distance];
                bool ascending = ((start + low) & size) == 0;
                if (a > b == ascending)
                {
                    shared[low] = b;
                    shared[low + distance] = a;
                }
                Group.Barrier();
            }
        keys[start + thread] = shared[thread];
        keys[start + thread + group] = shared[thread + group];
    }

    /// <summary>Kinds: 0 a row per place, 1 a row per bag, 2 a row per bag divided by the bag's length.</summary>
    private static void AddKernel(
        ArrayView<long> keys, ArrayView<int> bags, ArrayView<int> offsets, ArrayView<float> rows, ArrayView<float> table, int dim, int idStride,
        int stride, int kind)
    {
        int first = Grid.IdxX;
        long key = keys[first];
        int id = (int)(key >> 32);
        if (first > 0 && (int)(keys[first - 1] >> 32) == id) return;
        for (int c = Group.IdxX; c < dim; c += Group.DimX)
        {
            float sum = 0;
            for (int i = first; i < keys.Length; i++)
            {
                key = keys[i];
                if ((int)(key >> 32) != id) break;
                int row = (int)(key & 0x7FFF_FFFF);
                float scale = 1;
                if (kind != 0) row = bags[row];
                if (kind == 2) scale = 1f / (offsets[row + 1] - offsets[row]);
                sum += rows[(long)row * dim + c] * scale;
            }
            table[(long)id * idStride + (long)c * stride] += sum;
        }
    }
}
