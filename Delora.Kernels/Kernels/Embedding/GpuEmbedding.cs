using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="EmbeddingKernel"/>: a group per place.</summary>
internal static class GpuEmbedding
{
    internal static void Forward(GpuDevice gpu, Tensor ids, Tensor weight, Tensor y)
    {
        int dim = weight.Shape.Columns;
        gpu.LaunchGroups(
            ForwardKernel, GpuScatter.RowConfig(gpu, ids.ElementCount, dim), gpu.View<int>(ids), gpu.View<float>(weight),
                gpu.View<float>(y), dim);
    }

    internal static void Backward(GpuDevice gpu, Tensor ids, Tensor dy, Tensor dweight) =>
        GpuScatter.Add(gpu, ids, null, mean: false, dy, dweight);

    private static void ForwardKernel(ArrayView<int> ids, ArrayView<float> weight, ArrayView<float> y, int dim)
    {
        long from = (long)ids[Grid.IdxX] * dim, to = (long)Grid.IdxX * dim;
        for (int c = Group.IdxX; c < dim; c += Group.DimX) y[to + c] = weight[from + c];
    }
}
