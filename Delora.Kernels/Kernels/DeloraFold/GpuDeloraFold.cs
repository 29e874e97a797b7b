using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="DeloraFoldKernel"/>.</summary>
internal static class GpuDeloraFold
{
    private const float MinNorm = (float)DeloraScale.MinNorm;

    internal static void Forward(
        GpuDevice gpu, Tensor a, Tensor b, Tensor lambda, Tensor w, Tensor scales, Tensor? foldedA, Tensor? foldedB, int offset,
        bool negative)
    {
        int rank = a.Shape[0], columns = a.Shape[1], rows = b.Shape[0];
        ArrayView<float> x = gpu.View<float>(a), y = gpu.View<float>(b), s = gpu.View<float>(scales);
        GpuDot.Rows(gpu, x, x, rank, columns, s.SubView(0, rank), squareRoot: true);
        GpuDot.Columns(gpu, y, y, rank, rows, rank, s.SubView(rank, rank), squareRoot: true);
        gpu.Launch(ScaleKernel, rank, gpu.View<float>(lambda), s, rank, negative ? -1f : 1f);
        if (foldedA is not null)
            gpu.Launch(FoldAKernel, a.ElementCount, x, gpu.View<float>(w), gpu.View<float>(foldedA).SubView((long)offset * columns,
                a.ElementCount));
        if (foldedB is not null)
            gpu.Launch(FoldBKernel, b.ElementCount, y, s.SubView(2 * rank, rank), gpu.View<float>(foldedB), foldedB.Shape[1], offset);
    }

    internal static void Backward(
        GpuDevice gpu, Tensor a, Tensor b, Tensor w, Tensor scales, Tensor? dFoldedA, Tensor? dFoldedB, Tensor? dA, Tensor? dB,
        Tensor? dLambda,
        int offset, bool negative)
    {
        int rank = a.Shape[0], columns = a.Shape[1], rows = b.Shape[0];
        ArrayView<float> x = gpu.View<float>(a), y = gpu.View<float>(b), s = gpu.View<float>(scales);
        using Tensor temporary = Tensor.Empty([rank], DType.Float32, gpu, "DeloraFold.ds");
        ArrayView<float> ds = gpu.View<float>(temporary);
        if (dFoldedB is null || rows == 0) temporary.FillZero();
        else GpuDot.Columns(gpu, y, gpu.View<float>(dFoldedB).SubView(offset), dFoldedB.Shape[1], rows, rank, ds, squareRoot: false);
        if (dLambda is not null) gpu.Launch(LambdaKernel, 1, ds, s, gpu.View<float>(dLambda), rank, negative ? -1f : 1f);
        // A kernel has no null views: in place of a gradient that is missing it gets another view and a 0 that says so.
        if (dA is not null)
            gpu.Launch(
                GradientAKernel, a.ElementCount, x, gpu.View<float>(w), ds, s,
                dFoldedA is null ? x : gpu.View<float>(dFoldedA).SubView((long)offset * columns, a.ElementCount), dFoldedA is null ? 0 : 1,
                gpu.View<float>(dA), rank, columns);
        if (dB is not null)
            gpu.Launch(
                GradientBKernel, b.ElementCount, y, ds, s, dFoldedB is null ? y : gpu.View<float>(dFoldedB), dFoldedB?.Shape[1] ?? 0,
                offset,
                gpu.View<float>(dB), rank);
    }

    private static void ScaleKernel(Index1D i, ArrayView<float> lambda, ArrayView<float> s, int rank, float sign) =>
        s[2 * rank + i] = DeloraScale.Scale(sign * lambda[0], (float)rank, s[i], s[rank + i], MinNorm);

    private static void FoldAKernel(Index1D i, ArrayView<float> a, ArrayView<float> w, ArrayView<float> folded) =>
        folded[i] = a[i] * w[i % w.IntLength];

    private static void FoldBKernel(Index1D i, ArrayView<float> b, ArrayView<float> s, ArrayView<float> folded, int stride, int offset)
    {
        int rank = s.IntLength, row = i / rank, column = i - row * rank;
        folded[(long)row * stride + offset + column] = b[i] * s[column];
    }

    private static void LambdaKernel(Index1D i, ArrayView<float> ds, ArrayView<float> s, ArrayView<float> dLambda, int rank, float sign)
    {
        float sum = 0, lost = 0; // Kahan: the terms of different ranks cancel
        for (int k = 0; k < rank; k++)
        {
            float term = ds[k] * DeloraScale.Scale(sign, (float)rank, s[k], s[rank + k], MinNorm) - lost;
            float next = sum + term;
            lost = next - sum - term;
            sum = next;
        }
        dLambda[0] = sum;
    }

    private static void GradientAKernel(
        Index1D i, ArrayView<float> a, ArrayView<float> w, ArrayView<float> ds, ArrayView<float> s, ArrayView<float> dFolded, int given,
        ArrayView<float> dA, int rank, int columns)
    {
        int row = i / columns;
        float direct = given == 0 ? 0f : w[i - row * columns] * dFolded[i];
        dA[i] = direct - DeloraScale.ThroughNorm(ds[row], s[2 * rank + row], s[row], MinNorm) * a[i];
    }

    private static void GradientBKernel(
        Index1D i, ArrayView<float> b, ArrayView<float> ds, ArrayView<float> s, ArrayView<float> dFolded, int stride, int offset,
        ArrayView<float> dB, int rank)
    {
        int row = i / rank, column = i - row * rank;
        float scale = s[2 * rank + column];
        float direct = stride == 0 ? 0f : scale * dFolded[(long)row * stride + offset + column];
        dB[i] = direct - DeloraScale.ThroughNorm(ds[column], scale, s[rank + column], MinNorm) * b[i];
    }
}
