using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="ArgmaxKernel"/>: a group per row.</summary>
internal static class GpuArgmax
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y) =>
        gpu.LaunchGroups(Kernel, GpuReduce.Config(gpu, y.ElementCount, perThread: 2), gpu.View<float>(x), gpu.View<int>(y), x.Shape.Columns);

    private static void Kernel(ArrayView<float> x, ArrayView<int> y, int columns)
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        long start = (long)Grid.IdxX * columns;
        // The first best of this thread's own elements; j beyond the row where it has none.
        float best = float.NegativeInfinity;
        int index = int.MaxValue;
        for (int j = ILGPU.Group.IdxX; j < columns; j += ILGPU.Group.DimX)
        {
            float value = x[start + j];
            bool better = value > best || (float.IsNaN(value) && !float.IsNaN(best)) || index == int.MaxValue;
            best = better ? value : best;
            index = better ? j : index;
        }
        index = Group(shared, best, index);
        if (ILGPU.Group.IdxX == 0) y[Grid.IdxX] = index;
    }

    /// <summary>
    /// In a kernel: the index that comes with the largest of every thread's values, the lowest among equals, for all threads of the group.
    /// <paramref name="shared"/> holds two floats per thread; the group size is a power of two, and all threads call.
    /// </summary>
    internal static int Group(ArrayView<float> shared, float value, int index)
    {
        float max = GpuReduce.Group<GpuMaximum>(shared, value);
        bool holds = value == max || (float.IsNaN(max) && float.IsNaN(value));
        // Behind the floats, not in their place: OpenCL compilers take it that floats and integers never share memory.
        ArrayView<int> indices = shared.SubView(ILGPU.Group.DimX, ILGPU.Group.DimX).Cast<int>();
        int thread = ILGPU.Group.IdxX;
        indices[thread] = holds ? index : int.MaxValue;
        ILGPU.Group.Barrier();
        for (int half = ILGPU.Group.DimX / 2; half > 0; half /= 2)
        {
            if (thread < half && indices[thread + half] < indices[thread]) indices[thread] = indices[thread + half];
            ILGPU.Group.Barrier();
        }
        return indices[0];
    }
}
