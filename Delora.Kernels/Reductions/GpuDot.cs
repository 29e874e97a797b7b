using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// Sums of products along the rows and along the columns of matrices on GPU devices, in float64 or, where the device has none, in pairs of
/// float32. The order of a sum depends on the shapes and on the device's group size alone.
/// </summary>
internal static class GpuDot
{
    /// <summary>Length of the shared arrays: the largest <see cref="GpuReduce.GroupSize"/>.</summary>
    internal const int MaxGroup = 256;

    /// <summary>result_i = Σ_k x[i, k] y[i, k] of two contiguous matrices, or its square root.</summary>
    internal static void Rows(GpuDevice gpu, ArrayView<float> x, ArrayView<float> y, int rows, int columns, ArrayView<float> result,
        bool squareRoot)
    {
        if (gpu.HasFloat64) Rows<Float64Sum>(gpu, x, y, rows, columns, result, squareRoot);
        else Rows<Float32PairSum>(gpu, x, y, rows, columns, result, squareRoot);
    }

    /// <summary>result_j = Σ_k x[k, j] y[k, j], or its square root; the rows of y are <paramref name="yStride"/> floats apart.</summary>
    internal static void Columns(
        GpuDevice gpu, ArrayView<float> x, ArrayView<float> y, int yStride, int rows, int columns, ArrayView<float> result, bool squareRoot)
    {
        if (gpu.HasFloat64) Columns<Float64Sum>(gpu, x, y, yStride, rows, columns, result, squareRoot);
        else Columns<Float32PairSum>(gpu, x, y, yStride, rows, columns, result, squareRoot);
    }

    internal static void Rows<TSum>(GpuDevice gpu, ArrayView<float> x, ArrayView<float> y, int rows, int columns,
        ArrayView<float> result, bool squareRoot)
        where TSum : unmanaged, IGpuSum<TSum> =>
        gpu.LaunchGroups(RowsKernel<TSum>, new KernelConfig(rows, GpuReduce.GroupSize(gpu)), x, y, columns, result, squareRoot ? 1 : 0);

    internal static void Columns<TSum>(
        GpuDevice gpu, ArrayView<float> x, ArrayView<float> y, int yStride, int rows, int columns, ArrayView<float> result, bool squareRoot)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        int group = GpuReduce.GroupSize(gpu);
        // Neighboring threads read neighboring columns; what is left of the group shares the rows.
        int width = 1;
        while (width < columns && width < 32 && width < group) width *= 2;
        gpu.LaunchGroups(
            ColumnsKernel<TSum>, new KernelConfig((columns + width - 1) / width, group), x, y, yStride, rows, columns, width, result,
            squareRoot ? 1 : 0);
    }

    /// <summary>The sum of what the threads of the group hold, in all of them or, with a width, in those of equal index modulo
    /// it.</summary>
    internal static TSum AddUp<TSum>(TSum own, int width) where TSum : unmanaged, IGpuSum<TSum>
    {
        ArrayView<TSum> shared = SharedMemory.Allocate<TSum>(MaxGroup);
        int t = Group.IdxX;
        Group.Barrier(); // a sum before this one may still be read
        shared[t] = own;
        Group.Barrier();
        for (int half = Group.DimX / 2; half >= width; half /= 2)
        {
            if (t < half) shared[t] = TSum.Add(shared[t], shared[t + half]);
            Group.Barrier();
        }
        return shared[t % width];
    }

    /// <summary>In one group: result[0] = √max(Σ partial sums, 0).</summary>
    internal static void SquareRootKernel<TSum>(ArrayView<TSum> partials, ArrayView<float> result) where TSum : unmanaged, IGpuSum<TSum>
    {
        TSum sum = default;
        for (long i = Group.IdxX; i < partials.Length; i += Group.DimX) sum = TSum.Add(sum, partials[i]);
        sum = AddUp(sum, 1);
        if (Group.IdxX == 0) result[0] = TSum.SquareRoot(sum);
    }

    private static void RowsKernel<TSum>(ArrayView<float> x, ArrayView<float> y, int columns, ArrayView<float> result, int squareRoot)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        long row = (long)Grid.IdxX * columns;
        TSum sum = default;
        for (int k = Group.IdxX; k < columns; k += Group.DimX) sum = TSum.AddProduct(sum, x[row + k], y[row + k]);
        sum = AddUp(sum, 1);
        if (Group.IdxX == 0) result[Grid.IdxX] = squareRoot != 0 ? TSum.SquareRoot(sum) : TSum.Value(sum);
    }

    private static void ColumnsKernel<TSum>(
        ArrayView<float> x, ArrayView<float> y, int yStride, int rows, int columns, int width, ArrayView<float> result, int squareRoot)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        int column = Grid.IdxX * width + Group.IdxX % width;
        TSum sum = default;
        if (column < columns)
            for (int k = Group.IdxX / width; k < rows; k += Group.DimX / width)
                sum = TSum.AddProduct(sum, x[(long)k * columns + column], y[(long)k * yStride + column]);
        sum = AddUp(sum, width);
        if (Group.IdxX < width && column < columns) result[column] = squareRoot != 0 ? TSum.SquareRoot(sum) : TSum.Value(sum);
    }
}
