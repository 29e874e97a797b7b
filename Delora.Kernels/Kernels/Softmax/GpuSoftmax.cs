using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="SoftmaxKernel"/>: a group per row.</summary>
internal static class GpuSoftmax
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor y) =>
        gpu.LaunchGroups(ForwardKernel, GpuReduce.Config(gpu, Rows(x)), gpu.View<float>(x), gpu.View<float>(y), x.Shape.Columns);

    internal static void Backward(GpuDevice gpu, Tensor y, Tensor dy, Tensor dx) =>
        gpu.LaunchGroups(BackwardKernel, GpuReduce.Config(gpu, Rows(y)), gpu.View<float>(y), gpu.View<float>(dy), gpu.View<float>(dx),
            y.Shape.Columns);

    private static long Rows(Tensor x) => x.Shape.Columns == 0 ? 0 : x.Shape.Rows;

    private static void ForwardKernel(ArrayView<float> x, ArrayView<float> y, int columns)
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        long start = (long)Grid.IdxX * columns;
        float max = float.NegativeInfinity;
        for (int j = Group.IdxX; j < columns; j += Group.DimX) max = GpuMaximum.Combine(max, x[start + j]);
        max = GpuReduce.Group<GpuMaximum>(shared, max);
        bool masked = max == float.NegativeInfinity;
        float sum = 0;
        for (int j = Group.IdxX; j < columns; j += Group.DimX)
        {
            float e = masked ? 0f : GpuReduce.Exp(x[start + j] - max);
            y[start + j] = e;
            sum += e;
        }
        sum = GpuReduce.Group<GpuPlus>(shared, sum);
        float factor = masked ? 0f : 1f / sum;
        for (int j = Group.IdxX; j < columns; j += Group.DimX) y[start + j] *= factor;
    }

    private static void BackwardKernel(ArrayView<float> y, ArrayView<float> dy, ArrayView<float> dx, int columns)
    {
        long start = (long)Grid.IdxX * columns;
        float dot = 0;
        for (int j = Group.IdxX; j < columns; j += Group.DimX) dot += y[start + j] * dy[start + j];
        dot = GpuReduce.Group<GpuPlus>(SharedMemory.GetDynamic<float>(), dot);
        for (int j = Group.IdxX; j < columns; j += Group.DimX) dx[start + j] = y[start + j] * (dy[start + j] - dot);
    }
}
