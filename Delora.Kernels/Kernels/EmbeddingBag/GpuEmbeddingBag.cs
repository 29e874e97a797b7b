using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="EmbeddingBagKernel"/>: a group per bag, a thread per column.</summary>
internal static class GpuEmbeddingBag
{
    internal static void Forward(GpuDevice gpu, Tensor ids, Tensor offsets, Tensor weight, Tensor y, bool mean)
    {
        int bags = y.Shape[0], dim = y.Shape[1];
        gpu.LaunchGroups(ForwardKernel, GpuScatter.RowConfig(gpu, bags, dim), gpu.View<int>(ids), gpu.View<int>(offsets),
            gpu.View<float>(weight), gpu.View<float>(y), dim, mean ? 1 : 0);
    }

    internal static void Backward(GpuDevice gpu, Tensor ids, Tensor offsets, Tensor dy, Tensor dweight, bool mean) =>
        GpuScatter.Add(gpu, ids, offsets, mean, dy, dweight);

    private static void ForwardKernel(
        ArrayView<int> ids, ArrayView<int> offsets, ArrayView<float> weight, ArrayView<float> y, int dim, int mean)
    {
        int start = offsets[Grid.IdxX], end = offsets[Grid.IdxX + 1];
        float scale = mean != 0 && end > start ? 1f / (end - start) : 1f;
        for (int c = Group.IdxX; c < dim; c += Group.DimX)
        {
            float sum = 0;
            for (int i = start; i < end; i++) sum += weight[(long)ids[i] * dim + c];
            y[(long)Grid.IdxX * dim + c] = sum * scale;
        }
    }
}
