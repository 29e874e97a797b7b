using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>In a kernel: the normalization of one row, x̂ = (x − shift)·inverse + offset; see <see cref="CpuNormRow"/>.</summary>
internal readonly struct GpuNormRow(float shift, float offset, float inverse)
{
    internal readonly float Inverse = inverse;

    internal float Apply(float x) => (x - shift) * Inverse + offset;

    /// <summary>Of statistics [rows] that hold the inverse, or [3, rows] where the norm is centered.</summary>
    internal static GpuNormRow At(ArrayView<float> statistics, int row, int rows, int centered) =>
        centered == 0
            ? new(0, 0, statistics[row])
            : new(statistics[row], statistics[(long)rows + row], statistics[2L * rows + row]);
}

/// <summary>
/// What norms over the last dimension share on GPU devices: the formulas of <see cref="CpuNormalization"/>, a group per row for dx and a
/// group for some neighboring columns for dw.
/// </summary>
internal static class GpuNormalization
{
    internal static void Backward(
        GpuDevice gpu, Tensor statistics, bool centered, Tensor x, Tensor weight, Tensor dy, Tensor? dx, Tensor? dweight, bool accumulate,
        bool accumulateWeight)
    {
        // First, because dx may be dy.
        if (dweight is not null)
        {
            if (gpu.HasFloat64) WeightGradient<Float64Sum>(gpu, statistics, centered, x, dy, dweight, accumulateWeight);
            else WeightGradient<Float32PairSum>(gpu, statistics, centered, x, dy, dweight, accumulateWeight);
        }
        if (dx is null) return;
        KernelConfig groups = GpuScatter.RowConfig(gpu, x.Shape.Rows, x.Shape.Columns);
        gpu.LaunchGroups(
            InputKernel, new KernelConfig(groups.GridDim, groups.GroupDim, SharedMemoryConfig.RequestDynamic<float>(groups.GroupDim.X)),
            gpu.View<float>(statistics), centered ? 1 : 0, gpu.View<float>(x), gpu.View<float>(weight), gpu.View<float>(dy),
            gpu.View<float>(dx), x.Shape.Columns, accumulate ? 1 : 0);
    }

    /// <summary>In a kernel: 1/√(sum/count + ε), by way of √(sum + ε·count), which is in range where the sum itself is not.</summary>
    internal static float InverseRoot<TSum>(TSum sum, int count, float epsilon) where TSum : unmanaged, IGpuSum<TSum>
    {
        float n = count > 1 ? count : 1f;
        return MathF.Sqrt(n) / TSum.SquareRoot(TSum.AddProduct(sum, n, epsilon));
    }

    internal static void WeightGradient<TSum>(
        GpuDevice gpu, Tensor statistics, bool centered, Tensor x, Tensor dy, Tensor dweight, bool accumulate)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        int columns = x.Shape.Columns, group = GpuReduce.GroupSize(gpu), width = Math.Min(32, group);
        gpu.LaunchGroups(
            WeightKernel<TSum>, new KernelConfig((columns + width - 1) / width, group), gpu.View<float>(statistics), centered ? 1 : 0,
            gpu.View<float>(x), gpu.View<float>(dy), checked((int)x.Shape.Rows), columns, width, gpu.View<float>(dweight),
            accumulate ? 1 : 0);
    }

    private static void InputKernel(
        ArrayView<float> statistics, int centered, ArrayView<float> x, ArrayView<float> weight, ArrayView<float> dy, ArrayView<float> dx,
        int columns, int accumulate)
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        GpuNormRow row = GpuNormRow.At(statistics, Grid.IdxX, Grid.DimX, centered);
        long start = (long)Grid.IdxX * columns;
        float sum = 0, dot = 0;
        for (int j = Group.IdxX; j < columns; j += Group.DimX)
        {
            float g = dy[start + j] * weight[j];
            sum += g;
            dot += g * row.Apply(x[start + j]);
        }
        float mean = 0, slope = GpuReduce.Group<GpuPlus>(shared, dot) / columns;
        if (centered != 0) mean = GpuReduce.Group<GpuPlus>(shared, sum) / columns;
        for (int j = Group.IdxX; j < columns; j += Group.DimX)
        {
            float gradient = (dy[start + j] * weight[j] - mean - row.Apply(x[start + j]) * slope) * row.Inverse;
            dx[start + j] = accumulate != 0 ? dx[start + j] + gradient : gradient;
        }
    }

    private static void WeightKernel<TSum>(
        ArrayView<float> statistics, int centered, ArrayView<float> x, ArrayView<float> dy, int rows, int columns, int width,
        ArrayView<float> dweight, int accumulate)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        int column = Grid.IdxX * width + Group.IdxX % width;
        TSum sum = default;
        if (column < columns)
            for (int row = Group.IdxX / width; row < rows; row += Group.DimX / width)
            {
                long i = (long)row * columns + column;
                sum = TSum.AddProduct(sum, dy[i], GpuNormRow.At(statistics, row, rows, centered).Apply(x[i]));
            }
        sum = GpuDot.AddUp(sum, width);
        if (Group.IdxX < width && column < columns) dweight[column] = accumulate != 0 ? dweight[column] + TSum.Value(sum) : TSum.Value(sum);
    }
}
