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
        int group = GpuReduce.GroupSize(gpu), width = Width(columns, group, most: 32);
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

    /// <summary>
    /// In a kernel: a thread's part of Σ_k x[k, column] y[k, column], of rows width-wise shared among the group. Eight rows are loaded before the first
    /// is added, in the order of a plain loop: otherwise each addition waits for the memory.
    /// </summary>
    internal static TSum ColumnPart<TSum>(ArrayView<float> x, int xStride, ArrayView<float> y, int yStride, int column, int rows, int width)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        int step = Group.DimX / width, k = Group.IdxX / width;
        long xStep = (long)step * xStride, yStep = (long)step * yStride;
        TSum sum = default;
        for (; (long)k + 7 * step < rows; k += 8 * step)
        {
            long i = (long)k * xStride + column, j = (long)k * yStride + column;
            float x0 = x[i], x1 = x[i + xStep], x2 = x[i + 2 * xStep], x3 = x[i + 3 * xStep];
            float x4 = x[i + 4 * xStep], x5 = x[i + 5 * xStep], x6 = x[i + 6 * xStep], x7 = x[i + 7 * xStep];
            float y0 = y[j], y1 = y[j + yStep], y2 = y[j + 2 * yStep], y3 = y[j + 3 * yStep];
            float y4 = y[j + 4 * yStep], y5 = y[j + 5 * yStep], y6 = y[j + 6 * yStep], y7 = y[j + 7 * yStep];
            sum = TSum.AddProduct(TSum.AddProduct(TSum.AddProduct(TSum.AddProduct(sum, x0, y0), x1, y1), x2, y2), x3, y3);
            sum = TSum.AddProduct(TSum.AddProduct(TSum.AddProduct(TSum.AddProduct(sum, x4, y4), x5, y5), x6, y6), x7, y7);
        }
        for (; k < rows; k += step) sum = TSum.AddProduct(sum, x[(long)k * xStride + column], y[(long)k * yStride + column]);
        return sum;
    }

    /// <summary>
    /// How many neighboring columns a group takes, whose neighboring threads read them; what is left of the group shares the rows. A power of two.
    /// </summary>
    internal static int Width(int columns, int group, int most)
    {
        int width = 1;
        while (width < columns && width < most && width < group) width *= 2;
        return width;
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
        if (column < columns) sum = ColumnPart<TSum>(x, columns, y, yStride, column, rows, width);
        sum = AddUp(sum, width);
        if (Group.IdxX < width && column < columns) result[column] = squareRoot != 0 ? TSum.SquareRoot(sum) : TSum.Value(sum);
    }
}
