using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// The ILGPU implementation of <see cref="RmsNormKernel"/>: a group per row; the way back is <see cref="GpuNormalization.Backward"/>.
/// </summary>
internal static class GpuRmsNorm
{
    internal static void Forward(GpuDevice gpu, Tensor x, Tensor weight, Tensor y, Tensor inverseRms, double epsilon)
    {
        if (gpu.HasFloat64) Forward<Float64Sum>(gpu, x, weight, y, inverseRms, epsilon);
        else Forward<Float32PairSum>(gpu, x, weight, y, inverseRms, epsilon);
    }

    internal static void Forward<TSum>(GpuDevice gpu, Tensor x, Tensor weight, Tensor y, Tensor inverseRms, double epsilon)
        where TSum : unmanaged, IGpuSum<TSum> =>
        gpu.LaunchGroups(
            ForwardKernel<TSum>, GpuScatter.RowConfig(gpu, x.Shape.Rows, x.Shape.Columns), gpu.View<float>(x), gpu.View<float>(weight),
            gpu.View<float>(y), gpu.View<float>(inverseRms), x.Shape.Columns, (float)epsilon);

    private static void ForwardKernel<TSum>(
        ArrayView<float> x, ArrayView<float> weight, ArrayView<float> y, ArrayView<float> inverseRms, int columns, float epsilon)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        long start = (long)Grid.IdxX * columns;
        TSum sum = default;
        for (int j = Group.IdxX; j < columns; j += Group.DimX) sum = TSum.AddProduct(sum, x[start + j], x[start + j]);
        float inverse = GpuNormalization.InverseRoot(GpuDot.AddUp(sum, 1), columns, epsilon);
        if (Group.IdxX == 0) inverseRms[Grid.IdxX] = inverse;
        for (int j = Group.IdxX; j < columns; j += Group.DimX) y[start + j] = x[start + j] * inverse * weight[j];
    }
}
