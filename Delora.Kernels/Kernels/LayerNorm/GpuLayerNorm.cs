using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// The ILGPU implementation of <see cref="LayerNormKernel"/>: a group per row; the way back is <see cref="GpuNormalization.Backward"/>.
/// </summary>
internal static class GpuLayerNorm
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor weight, Tensor? bias, Tensor y, Tensor statistics, double epsilon)
    {
        if (gpu.HasFloat64) Forward<Float64Sum>(gpu, x, weight, bias, y, statistics, epsilon);
        else Forward<Float32PairSum>(gpu, x, weight, bias, y, statistics, epsilon);
    }

    internal static void Forward<TSum>(GpuDevice gpu, Tensor x, Tensor weight, Tensor? bias, Tensor y, Tensor statistics, double epsilon)
        where TSum : unmanaged, IGpuSum<TSum> =>
        gpu.LaunchGroups(
            ForwardKernel<TSum>, GpuScatter.RowConfig(gpu, x.Shape.Rows, x.Shape.Columns), gpu.View<float>(x), gpu.View<float>(weight),
            gpu.View<float>(bias ?? weight), bias is null ? 0 : 1, gpu.View<float>(y), gpu.View<float>(statistics), x.Shape.Columns,
            (float)epsilon);

    private static void ForwardKernel<TSum>(
        ArrayView<float> x, ArrayView<float> weight, ArrayView<float> bias, int hasBias, ArrayView<float> y, ArrayView<float> statistics,
        int columns, float epsilon)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        long start = (long)Grid.IdxX * columns;
        float first = columns > 0 ? x[start] : 0f, count = columns > 0 ? columns : 1f;
        TSum sum = default;
        for (int j = Group.IdxX; j < columns; j += Group.DimX) sum = TSum.AddProduct(sum, x[start + j] - first, 1f);
        float shift = first + TSum.Value(GpuDot.AddUp(sum, 1)) / count;
        // Around the mean but for its rounding, whose square is taken off.
        TSum rest = default, squares = default;
        for (int j = Group.IdxX; j < columns; j += Group.DimX)
        {
            float deviation = x[start + j] - shift;
            rest = TSum.AddProduct(rest, deviation, 1f);
            squares = TSum.AddProduct(squares, deviation, deviation);
        }
        float left = TSum.Value(GpuDot.AddUp(rest, 1)) / count;
        squares = TSum.AddProduct(GpuDot.AddUp(squares, 1), -left * count, left);
        float inverse = GpuNormalization.InverseRoot(squares, columns, epsilon);
        GpuNormRow row = new(shift, -left * inverse, inverse);
        if (Group.IdxX == 0)
        {
            statistics[Grid.IdxX] = shift;
            statistics[(long)Grid.DimX + Grid.IdxX] = -left * inverse;
            statistics[2L * Grid.DimX + Grid.IdxX] = inverse;
        }
        // The third reading comes after the barriers of the sums: y may be x.
        for (int j = Group.IdxX; j < columns; j += Group.DimX)
            y[start + j] = row.Apply(x[start + j]) * weight[j] + (hasBias != 0 ? bias[j] : 0f);
    }
}
