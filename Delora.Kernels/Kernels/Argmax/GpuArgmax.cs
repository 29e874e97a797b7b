using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="ArgmaxKernel"/>: a group per row.</summary>
internal static class GpuArgmax
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y) =>
        gpu.LaunchGroups(Kernel, GpuReduce.Config(gpu, y.ElementCount), gpu.View<float>(x), gpu.View<int>(y), x.Shape.Columns);

    private static void Kernel(ArrayView<float> x, ArrayView<int> y, int columns)
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        long start = (long)Grid.IdxX * columns;
        // The first best of this thread's own elements; j beyond the row where it has none.
        float best = float.NegativeInfinity;
        int index = int.MaxValue;
        for (int j = Group.IdxX; j < columns; j += Group.DimX)
        {
            float value = x[start + j];
            bool better = value > best || (float.IsNaN(value) && !float.IsNaN(best)) || index == int.MaxValue;
            best = better ? value : best;
            index = better ? j : index;
        }
        float max = GpuReduce.Group<GpuMaximum>(shared, best);
        bool holds = best == max || (float.IsNaN(max) && float.IsNaN(best));
        ArrayView<int> indices = shared.Cast<int>();
        int thread = Group.IdxX;
        indices[thread] = holds ? index : int.MaxValue;
        Group.Barrier();
        for (int half = Group.DimX / 2; half > 0; half /= 2)
        {
            if (thread < half && indices[thread + half] < indices[thread]) indices[thread] = indices[thread + half];
            Group.Barrier();
        }
        if (thread == 0) y[Grid.IdxX] = indices[0];
    }
}
