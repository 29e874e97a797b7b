using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="AddBiasKernel"/>.</summary>
internal static class GpuAddBias
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor bias, Tensor y) =>
        gpu.Launch(ForwardKernel, x.ElementCount, gpu.View<float>(x), gpu.View<float>(bias), gpu.View<float>(y), x.Shape.Columns);

    internal static void Backward(GpuDevice gpu, Tensor dy, Tensor dBias, bool accumulate)
    {
        if (gpu.HasFloat64) Backward<Float64Sum>(gpu, dy, dBias, accumulate);
        else Backward<Float32PairSum>(gpu, dy, dBias, accumulate);
    }

    private static void Backward<TSum>(GpuDevice gpu, Tensor dy, Tensor dBias, bool accumulate) where TSum : unmanaged, IGpuSum<TSum>
    {
        int columns = dy.Shape.Columns, group = GpuReduce.GroupSize(gpu);
        // Neighboring threads read neighboring columns; what is left of the group shares the rows.
        int width = Math.Min(32, group);
        gpu.LaunchGroups(
            BackwardKernel<TSum>, new KernelConfig((columns + width - 1) / width, group), gpu.View<float>(dy), checked((int)dy.Shape.Rows),
            columns, width, gpu.View<float>(dBias), accumulate ? 1 : 0);
    }

    private static void ForwardKernel(Index1D i, ArrayView<float> x, ArrayView<float> bias, ArrayView<float> y, int columns) =>
        y[i] = x[i] + bias[i % columns];

    private static void BackwardKernel<TSum>(ArrayView<float> dy, int rows, int columns, int width, ArrayView<float> dBias, int accumulate)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        int column = Grid.IdxX * width + Group.IdxX % width;
        TSum sum = default;
        if (column < columns)
            for (int row = Group.IdxX / width; row < rows; row += Group.DimX / width)
                sum = TSum.AddProduct(sum, dy[(long)row * columns + column], 1f);
        sum = GpuDot.AddUp(sum, width);
        if (Group.IdxX < width && column < columns) dBias[column] = accumulate != 0 ? dBias[column] + TSum.Value(sum) : TSum.Value(sum);
    }
}
