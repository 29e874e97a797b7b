using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="LinearCrossEntropyKernel"/>: the kernels of the cross-entropy on a block, a group per row.</summary>
internal static class GpuLinearCrossEntropy
{
    internal static void Rows(GpuDevice gpu, Tensor logits, Tensor labels, Tensor losses, CountedRows? mean, int ignoreIndex)
    {
        using Tensor logSumExp = Tensor.Empty(losses.Shape, losses.DType, gpu, "LinearCrossEntropy.logSumExp");
        GpuCrossEntropy.Forward(gpu, logits, labels, losses, logSumExp, ignoreIndex);
        if (mean is null) return;
        using Tensor one = Tensor.From([1f], [], gpu, "LinearCrossEntropy.one");
        GpuCrossEntropy.Backward(gpu, logits, labels, logSumExp, one, logits, 0, mean, ignoreIndex);
    }

    internal static void Backward(GpuDevice gpu, Tensor dloss, Tensor saved, Tensor gradient, bool accumulate) =>
        gpu.Launch(
            BackwardKernel, saved.ElementCount, gpu.View<float>(dloss), gpu.View<float>(saved), gpu.View<float>(gradient), accumulate ? 1 : 0);

    private static void BackwardKernel(
        Index1D i, ArrayView<float> dloss, ArrayView<float> saved, ArrayView<float> gradient, int accumulate) =>
        gradient[i] = (accumulate != 0 ? gradient[i] : 0) + dloss[0] * saved[i];
}
