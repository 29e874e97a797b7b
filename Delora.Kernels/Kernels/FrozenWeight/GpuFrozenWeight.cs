using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// The frozen weight of GPU devices: row-major, as the products read it in both directions. Those of CUDA cards read 16 bits as they lie; other
/// storages than float32 are else widened to a tensor of the device for the time of a product.
/// </summary>
internal sealed class GpuFrozenWeight(Tensor weight, FrozenStorage storage) : TensorFrozenWeight(weight, storage)
{
    /// <summary>W [out, in] as an operand of <see cref="GpuMatrixProduct"/>, to be disposed after use.</summary>
    internal DenseWeight Operand() => HalfPrecision is { } half && GpuMatrixProduct.RunsTexts((GpuDevice)Device) ? new(half, owned: false) : Dense();

    private protected override void Decode(Tensor codes, Tensor scales, Tensor weight)
    {
        var gpu = (GpuDevice)Device;
        ArrayView<byte> code = gpu.View<byte>(codes);
        ArrayView<float> scale = gpu.View<float>(scales), to = gpu.View<float>(weight);
        if (Storage == FrozenStorage.Int8)
        {
            gpu.Launch(Int8Kernel, weight.ElementCount, code, scale, to, In);
            return;
        }
        using Tensor levels = Tensor.From(Nf4Codec.Levels, [Nf4Codec.Levels.Length], gpu, "NF4 levels");
        gpu.Launch(Nf4Kernel, weight.ElementCount, code, scale, gpu.View<float>(levels), to, new Nf4Rows(In, codes.Shape[1], scales.Shape[1]));
    }

    private static void Int8Kernel(Index1D i, ArrayView<byte> codes, ArrayView<float> scales, ArrayView<float> weight, int columns)
    {
        int code = codes[i];
        weight[i] = (code < 128 ? code : code - 256) * scales[i / columns];
    }

    private static void Nf4Kernel(
        Index1D i, ArrayView<byte> codes, ArrayView<float> scales, ArrayView<float> levels, ArrayView<float> weight, Nf4Rows rows)
    {
        int row = i / rows.Columns, column = i % rows.Columns, block = column / Nf4Codec.BlockSize, at = column % Nf4Codec.BlockSize;
        int left = rows.Columns - block * Nf4Codec.BlockSize, count = left < Nf4Codec.BlockSize ? left : Nf4Codec.BlockSize, half = (count + 1) / 2;
        int place = row * rows.Bytes + block * (Nf4Codec.BlockSize / 2);
        int code = at < half ? codes[place + at] & 15 : codes[place + at - half] >> 4;
        weight[i] = levels[code] * scales[row * rows.Blocks + block];
    }

    /// <summary>Measures of a row: numbers, bytes of codes, scales.</summary>
    internal readonly struct Nf4Rows(int columns, int bytes, int blocks)
    {
        public readonly int Columns = columns, Bytes = bytes, Blocks = blocks;
    }
}
