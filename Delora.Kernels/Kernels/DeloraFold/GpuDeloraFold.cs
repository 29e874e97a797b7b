using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// The ILGPU implementation of <see cref="DeloraFoldKernel"/>: two launches each way. The first takes the sums along rows and columns, with a
/// group for each row of A and for each few columns of B; the second, a thread an element, needs them all.
/// </summary>
internal static class GpuDeloraFold
{
    private const float MinNorm = (float)DeloraScale.MinNorm;

    // Of B a group takes few columns: 32 bytes are what memory hands out at once, and more groups share a long matrix.
    private const int Width = 8;

    internal static void Forward(
        GpuDevice gpu, Tensor a, Tensor b, Tensor lambda, Tensor w, Tensor scales, Tensor? foldedA, Tensor? foldedB, int offset,
        bool negative)
    {
        if (gpu.HasFloat64) Norms<Float64Sum>(gpu, a, b, w, scales, foldedA, offset);
        else Norms<Float32PairSum>(gpu, a, b, w, scales, foldedA, offset);
        int rank = a.Shape[0];
        ArrayView<float> y = gpu.View<float>(b), s = gpu.View<float>(scales);
        gpu.Launch(
            FoldBKernel, foldedB is null ? rank : Math.Max(rank, b.ElementCount), y, gpu.View<float>(lambda), s, View(gpu, foldedB, s),
            foldedB?.Shape[1] ?? 0, offset, rank, negative ? -1f : 1f);
    }

    internal static void Norms<TSum>(GpuDevice gpu, Tensor a, Tensor b, Tensor w, Tensor scales, Tensor? foldedA, int offset)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        int rank = a.Shape[0], columns = a.Shape[1], rows = b.Shape[0];
        int group = GpuReduce.GroupSize(gpu), width = GpuDot.Width(rank, group, Width);
        ArrayView<float> x = gpu.View<float>(a);
        ArrayView<float> folded = foldedA is null ? x.SubView(0, 0) : gpu.View<float>(foldedA).SubView((long)offset * columns, x.Length);
        gpu.LaunchGroups(
            NormsKernel<TSum>, new KernelConfig(checked(rank + (rank + width - 1) / width), group), x, gpu.View<float>(b), gpu.View<float>(w),
            gpu.View<float>(scales), folded, rank, columns, rows, width);
    }

    internal static void Backward(
        GpuDevice gpu, Tensor a, Tensor b, Tensor w, Tensor scales, Tensor? dFoldedA, Tensor? dFoldedB, Tensor? dA, Tensor? dB,
        Tensor? dLambda, int offset, bool negative, FoldSums sums)
    {
        int rank = a.Shape[0], columns = a.Shape[1], rows = b.Shape[0];
        ArrayView<float> x = gpu.View<float>(a), y = gpu.View<float>(b), s = gpu.View<float>(scales);
        using Tensor? temporary = dFoldedB is null ? null : Tensor.Empty([rank], DType.Float32, gpu, "DeloraFold.ds");
        if (dFoldedB is not null)
        {
            // Without rows the view may begin at its end.
            ArrayView<float> given = gpu.View<float>(dFoldedB);
            GpuDot.Columns(
                gpu, y, rows == 0 ? given : given.SubView(offset), dFoldedB.Shape[1], rows, rank, gpu.View<float>(temporary!), squareRoot: false,
                width: Width);
        }
        var sizes = new Sizes
        {
            Rank = rank,
            Columns = columns,
            Stride = dFoldedB?.Shape[1] ?? 0,
            Offset = offset,
            Sign = negative ? -1f : 1f,
            AddsA = sums.HasFlag(FoldSums.A) ? 1 : 0,
            AddsB = sums.HasFlag(FoldSums.B) ? 1 : 0,
            AddsLambda = sums.HasFlag(FoldSums.Lambda) ? 1 : 0,
        };
        gpu.Launch(
            GradientKernel, checked((dA?.ElementCount ?? 0) + (dB?.ElementCount ?? 0) + (dLambda?.ElementCount ?? 0)), x, y, gpu.View<float>(w), s,
            View(gpu, temporary, s), dFoldedA is null ? s.SubView(0, 0) : gpu.View<float>(dFoldedA).SubView((long)offset * columns, x.Length),
            View(gpu, dFoldedB, s), View(gpu, dA, s), View(gpu, dB, s), View(gpu, dLambda, s), sizes);
    }

    /// <summary>A kernel has no null views: in place of a tensor that is missing it gets an empty one.</summary>
    private static ArrayView<float> View(GpuDevice gpu, Tensor? tensor, ArrayView<float> any) =>
        tensor is null ? any.SubView(0, 0) : gpu.View<float>(tensor);

    /// <summary>A group a row of A: its norm, and A'; then a group for each <paramref name="width"/> columns of B: their norms.</summary>
    private static void NormsKernel<TSum>(
        ArrayView<float> a, ArrayView<float> b, ArrayView<float> w, ArrayView<float> s, ArrayView<float> foldedA, int rank, int columns, int rows,
        int width)
        where TSum : unmanaged, IGpuSum<TSum>
    {
        bool isRow = Grid.IdxX < rank;
        int target = 0;
        bool writes;
        TSum sum = default;
        if (isRow)
        {
            long start = (long)Grid.IdxX * columns;
            for (int j = Group.IdxX; j < columns; j += Group.DimX)
            {
                float value = a[start + j];
                sum = TSum.AddProduct(sum, value, value);
                if (foldedA.Length > 0) foldedA[start + j] = value * w[j];
            }
            target = Grid.IdxX;
            writes = Group.IdxX == 0;
        }
        else
        {
            int column = (Grid.IdxX - rank) * width + Group.IdxX % width;
            if (column < rank) sum = GpuDot.ColumnPart<TSum>(b, rank, b, rank, column, rows, width);
            target = rank + column;
            writes = Group.IdxX < width && column < rank;
        }
        sum = GpuDot.AddUp(sum, isRow ? 1 : width);
        if (writes) s[target] = TSum.SquareRoot(sum);
    }

    /// <summary>s and B', a thread an element of B; the first row's threads write s. Each computes its scale anew, from the same two norms.</summary>
    private static void FoldBKernel(
        Index1D i, ArrayView<float> b, ArrayView<float> lambda, ArrayView<float> s, ArrayView<float> folded, int stride, int offset, int rank,
        float sign)
    {
        int row = i / rank, column = i - row * rank;
        float scale = DeloraScale.Scale(sign * lambda[0], (float)rank, s[column], s[rank + column], MinNorm);
        if (row == 0) s[2 * rank + column] = scale;
        if (folded.Length > 0) folded[(long)row * stride + offset + column] = b[i] * scale;
    }

    /// <summary>dA, dB and dλ one after the other, as far as they are wanted.</summary>
    private static void GradientKernel(
        Index1D i, ArrayView<float> a, ArrayView<float> b, ArrayView<float> w, ArrayView<float> s, ArrayView<float> ds, ArrayView<float> dFoldedA,
        ArrayView<float> dFoldedB, ArrayView<float> dA, ArrayView<float> dB, ArrayView<float> dLambda, Sizes sizes)
    {
        long at = i;
        if (at < dA.Length)
        {
            int row = i / sizes.Columns;
            float direct = dFoldedA.Length == 0 ? 0f : w[i - row * sizes.Columns] * dFoldedA[at];
            float value = direct - DeloraScale.ThroughNorm(Given(ds, row), s[2 * sizes.Rank + row], s[row], MinNorm) * a[at];
            Put(dA, at, value, sizes.AddsA);
            return;
        }
        at -= dA.Length;
        if (at < dB.Length)
        {
            int row = (int)(at / sizes.Rank), column = (int)(at - (long)row * sizes.Rank);
            float scale = s[2 * sizes.Rank + column];
            float direct = dFoldedB.Length == 0 ? 0f : scale * dFoldedB[(long)row * sizes.Stride + sizes.Offset + column];
            float value = direct - DeloraScale.ThroughNorm(Given(ds, column), scale, s[sizes.Rank + column], MinNorm) * b[at];
            Put(dB, at, value, sizes.AddsB);
            return;
        }
        Put(dLambda, 0, Lambda(ds, s, sizes.Rank, sizes.Sign), sizes.AddsLambda);
    }

    private static float Lambda(ArrayView<float> ds, ArrayView<float> s, int rank, float sign)
    {
        float sum = 0, lost = 0; // Kahan: the terms of different ranks cancel
        for (int k = 0; k < rank; k++)
        {
            float term = Given(ds, k) * DeloraScale.Scale(sign, (float)rank, s[k], s[rank + k], MinNorm) - lost;
            float next = sum + term;
            lost = next - sum - term;
            sum = next;
        }
        return sum;
    }

    private static float Given(ArrayView<float> ds, int index) => ds.Length == 0 ? 0f : ds[index];

    private static void Put(ArrayView<float> gradient, long at, float value, int adds) =>
        gradient[at] = adds == 0 ? value : gradient[at] + value;

    /// <summary>What the gradients' kernel is told besides its views.</summary>
    internal struct Sizes
    {
        internal int Rank, Columns, Stride, Offset, AddsA, AddsB, AddsLambda;
        internal float Sign;
    }
}
