using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// The frozen weight of GPU devices: row-major, as the products read it in both directions. What a storage rounds is widened where it is used: no product and no
/// lookup makes a copy of the weight.
/// </summary>
internal sealed class GpuFrozenWeight(Tensor weight, FrozenStorage storage) : TensorFrozenWeight(weight, storage)
{
    /// <summary>The right operand of <see cref="GpuMatrixProduct"/>: W [out, in] as it is kept.</summary>
    internal Tensor Operand => Codes;

    /// <summary>The scales of a quantized operand; null for another.</summary>
    internal WeightScales? OperandScales => Scales is null ? null : new(Storage, Scales);

    private protected override void RowsCore(Tensor ids, Tensor y)
    {
        if (Storage == FrozenStorage.Float32)
        {
            base.RowsCore(ids, y);
            return;
        }
        var gpu = (GpuDevice)Device;
        gpu.LaunchGroups(RowsKernel, GpuScatter.RowConfig(gpu, ids.ElementCount, In), gpu.View<int>(ids), gpu.View<float>(y), Numbers(gpu, y), In);
    }

    private protected override void Decode(Tensor codes, Tensor scales, Tensor weight)
    {
        var gpu = (GpuDevice)Device;
        gpu.Launch(DecodeKernel, weight.ElementCount, gpu.View<float>(weight), Numbers(gpu, weight), In);
    }

    private GpuCodes Numbers(GpuDevice gpu, Tensor any) => new(gpu, Codes, OperandScales, gpu.View<float>(any));

    private static void RowsKernel(ArrayView<int> ids, ArrayView<float> y, GpuCodes weight, int columns)
    {
        int row = ids[Grid.IdxX];
        long to = (long)Grid.IdxX * columns;
        for (int c = Group.IdxX; c < columns; c += Group.DimX) y[to + c] = weight.At(row, c);
    }

    private static void DecodeKernel(Index1D i, ArrayView<float> to, GpuCodes weight, int columns) => to[i] = weight.At(i / columns, i % columns);
}
