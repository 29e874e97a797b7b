using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="GatherColumnsKernel"/>; backward, the embeddings' sorted scatter with the columns as rows.</summary>
internal static class GpuGatherColumns
{
    internal static void Forward(GpuDevice gpu, Tensor a, Tensor ids, Tensor y) =>
        gpu.Launch(ForwardKernel, y.ElementCount, gpu.View<float>(a), gpu.View<int>(ids), gpu.View<float>(y), a.Shape[0], (long)a.Shape[1]);

    internal static void Backward(GpuDevice gpu, Tensor ids, Tensor dy, Tensor da) =>
        GpuScatter.Add(gpu, ids, null, mean: false, dy, da, byColumns: true);

    private static void ForwardKernel(Index1D i, ArrayView<float> a, ArrayView<int> ids, ArrayView<float> y, int rows, long columns) =>
        y[i] = a[i % rows * columns + ids[i / rows]];
}
