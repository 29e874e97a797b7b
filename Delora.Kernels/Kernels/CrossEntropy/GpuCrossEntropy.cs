using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="CrossEntropyKernel"/>: a group per row.</summary>
internal static class GpuCrossEntropy
{
    internal static void Forward(GpuDevice gpu, Tensor logits, Tensor labels, Tensor losses, Tensor logSumExp, int ignoreIndex) =>
        gpu.LaunchGroups(ForwardKernel, GpuReduce.Config(gpu, labels.ElementCount), gpu.View<float>(logits), gpu.View<int>(labels),
            gpu.View<float>(losses), gpu.View<float>(logSumExp), logits.Shape.Columns, ignoreIndex);

    internal static void Backward(
        GpuDevice gpu, Tensor logits, Tensor labels, Tensor logSumExp, Tensor dloss, Tensor dlogits, int stride, CountedRows? mean,
        int ignoreIndex)
    {
        ArrayView<float> gradient = gpu.View<float>(dloss);
        gpu.LaunchGroups(BackwardKernel, GpuReduce.Config(gpu, labels.ElementCount, perThread: 0), gpu.View<float>(logits),
            gpu.View<int>(labels), gpu.View<float>(logSumExp), gradient, gpu.View<float>(dlogits), logits.Shape.Columns, stride,
            mean?.Share(gpu, gradient) ?? new GpuFed<float>(1, gradient), ignoreIndex);
    }

    internal static void Mean(GpuDevice gpu, Tensor losses, Tensor loss, CountedRows rows)
    {
        ArrayView<float> sum = gpu.View<float>(loss);
        GpuReduce.All<GpuIdentity, GpuPlus>(gpu, gpu.View<float>(losses), sum);
        gpu.Launch(ShareKernel, 1, sum, rows.Share(gpu, sum));
    }

    private static void ShareKernel(Index1D i, ArrayView<float> sum, GpuFed<float> share) => sum[i] *= share.Here();

    private static void ForwardKernel(
        ArrayView<float> logits, ArrayView<int> labels, ArrayView<float> losses, ArrayView<float> logSumExp, int columns, int ignoreIndex)
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        int label = labels[Grid.IdxX];
        bool ignored = label == ignoreIndex;
        // No early return: every thread reaches the barriers.
        int width = ignored ? 0 : columns;
        long start = (long)Grid.IdxX * columns;
        float max = float.NegativeInfinity;
        for (int j = Group.IdxX; j < width; j += Group.DimX) max = GpuMaximum.Combine(max, logits[start + j]);
        max = GpuReduce.Group<GpuMaximum>(shared, max);
        float sum = 0;
        for (int j = Group.IdxX; j < width; j += Group.DimX) sum += GpuReduce.Exp(logits[start + j] - max);
        sum = GpuReduce.Group<GpuPlus>(shared, sum);
        if (Group.IdxX == 0)
        {
            float loss = 0;
            float log = SimdMath.Log(new GpuValue(sum)).Value;
            logSumExp[Grid.IdxX] = ignored ? 0f : max + log;
            // The difference to the maximum first: z itself loses the digits of a small loss. No read at the label of an ignored row.
            if (!ignored) loss = max - logits[start + label] + log;
            losses[Grid.IdxX] = loss;
        }
    }

    private static void BackwardKernel(
        ArrayView<float> logits, ArrayView<int> labels, ArrayView<float> logSumExp, ArrayView<float> dloss, ArrayView<float> dlogits,
        int columns, int stride, GpuFed<float> scale, int ignoreIndex)
    {
        int label = labels[Grid.IdxX];
        long start = (long)Grid.IdxX * columns;
        float z = logSumExp[Grid.IdxX];
        bool ignored = label == ignoreIndex;
        float g = dloss[(long)Grid.IdxX * stride] * scale.Here();
        for (int j = Group.IdxX; j < columns; j += Group.DimX)
        {
            float p = GpuReduce.Exp(logits[start + j] - z);
            float d = (j == label ? p - 1f : p) * g;
            dlogits[start + j] = ignored ? 0f : d;
        }
    }
}
