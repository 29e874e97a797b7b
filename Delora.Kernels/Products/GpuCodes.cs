using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The scales [out, scales of a row] of a quantized weight whose codes are an operand of a product.</summary>
internal readonly record struct WeightScales(FrozenStorage Storage, Tensor Tensor);

/// <summary>A frozen weight of less than 32 bits as portable GPU kernels read it: number by number, widened to float32.</summary>
internal readonly struct GpuCodes
{
    private const int BFloat16 = 0, Float16 = 1, Int8 = 2, Nf4 = 3;

    private readonly ArrayView<ushort> _halves;
    private readonly ArrayView<byte> _codes;
    private readonly ArrayView<float> _scales;
    private readonly int _storage, _pitch, _scalesOfRow;

    /// <summary>A weight.</summary>
    /// <param name="gpu">The device.</param>
    /// <param name="codes">16-bit numbers, or with scales the codes of a quantized weight.</param>
    /// <param name="scales">Its scales; null for none.</param>
    /// <param name="any">Any view of the device: a kernel cannot take a view of nothing.</param>
    internal GpuCodes(GpuDevice gpu, Tensor codes, WeightScales? scales, ArrayView<float> any) : this(any)
    {
        _pitch = codes.Shape[1];
        if (scales is not { } given)
        {
            (_halves, _storage) = (GpuCast.Bits(gpu, codes), codes.DType == DType.BFloat16 ? BFloat16 : Float16);
            return;
        }
        (_codes, _scales, _scalesOfRow) = (gpu.View<byte>(codes), gpu.View<float>(given.Tensor), given.Tensor.Shape[1]);
        _storage = given.Storage == FrozenStorage.Int8 ? Int8 : Nf4;
    }

    /// <summary>No weight.</summary>
    /// <param name="any">Any view of the device.</param>
    internal GpuCodes(ArrayView<float> any) =>
        (_halves, _codes, _scales) = (any.SubView(0, 0).Cast<ushort>(), any.SubView(0, 0).Cast<byte>(), any.SubView(0, 0));

    /// <summary>The number in a row and column.</summary>
    internal float At(int row, int column)
    {
        long start = (long)row * _pitch;
        if (_storage < Int8)
        {
            ushort bits = _halves[start + column];
            return _storage == BFloat16 ? GpuCast.BFloat16Codec.Read(bits) : GpuCast.Float16Codec.Read(bits);
        }
        if (_storage == Int8)
        {
            int code = _codes[start + column];
            return (code < 128 ? code : code - 256) * _scales[row];
        }
        int pair = _codes[start + (column >> 1)];
        return Nf4Codec.Level((column & 1) == 0 ? pair & 15 : pair >> 4) * _scales[(long)row * _scalesOfRow + column / Nf4Codec.BlockSize];
    }
}
