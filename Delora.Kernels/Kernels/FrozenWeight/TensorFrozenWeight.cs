using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// A frozen weight kept row by row: the reference device's, and the portable one of GPUs. In float32 it is the tensor that it was; else codes and scales,
/// [out, in] of 16 bits or [out, bytes of a row], from which a product, or a lookup of rows, makes a tensor of the whole weight for the time of its call.
/// </summary>
internal abstract class TensorFrozenWeight : FrozenWeight
{
    private readonly Tensor _codes;
    private readonly Tensor? _scales;

    private protected TensorFrozenWeight(Tensor weight, FrozenStorage storage)
        : base(weight.Device, weight.Shape[0], weight.Shape[1], storage, FrozenDirections.One)
    {
        _codes = storage switch
        {
            FrozenStorage.Float32 => Make([Out, In], weight.DType),
            FrozenStorage.BFloat16 => Make([Out, In], DType.BFloat16),
            FrozenStorage.Float16 => Make([Out, In], DType.Float16),
            _ => Make([Out, EncodedRows.RowBytes(storage, In)], DType.UInt8),
        };
        try
        {
            if (storage.IsQuantized) _scales = Make([Out, StoredPanels.ScalesOf(storage, In)], DType.Float32);
            SetWeight(weight);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override long ByteLength => base.ByteLength + _codes.ByteLength + (_scales?.ByteLength ?? 0);

    /// <inheritdoc/>
    public override Tensor ToTensor(string name = "weight")
    {
        Tensor copy = Tensor.Empty([Out, In], Device.FloatType, Device, name);
        try
        {
            Fill(copy);
        }
        catch
        {
            copy.Dispose();
            throw;
        }
        return copy;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _codes.Dispose();
        _scales?.Dispose();
    }

    /// <summary>W [out, in] as a tensor, to be disposed after use.</summary>
    internal DenseWeight Dense() => Storage == FrozenStorage.Float32 ? new(_codes, owned: false) : new(ToTensor(nameof(FrozenWeight)), owned: true);

    /// <summary>W [out, in] in 16 bits as it is kept; null in another storage.</summary>
    private protected Tensor? HalfPrecision => Storage is FrozenStorage.BFloat16 or FrozenStorage.Float16 ? _codes : null;

    private protected override WeightError WriteCore(Tensor weight)
    {
        // On the host, and without memory of the device.
        if (Storage != FrozenStorage.Float32) return Device.IsPlanning ? default : EncodedRows.Write(weight, Storage, _codes, _scales);
        _codes.CopyFrom(weight);
        return default;
    }

    private protected override void RowsCore(Tensor ids, Tensor y)
    {
        using DenseWeight weight = Dense();
        EmbeddingKernel.Forward(ids, weight.Tensor, y);
    }

    private protected override void ColumnNormsCore(Tensor norms)
    {
        using DenseWeight weight = Dense();
        ColumnNormKernel.Forward(weight.Tensor, norms);
    }

    /// <summary>Numbers from codes of 8 or 4 bits with scales.</summary>
    private protected abstract void Decode(Tensor codes, Tensor scales, Tensor weight);

    private void Fill(Tensor weight)
    {
        if (Storage == FrozenStorage.Float32) weight.CopyFrom(_codes);
        else if (_scales is null) CastKernel.Forward(_codes, weight);
        else Decode(_codes, _scales, weight);
    }

    private Tensor Make(Shape shape, DType dtype) => Tensor.Empty(shape, dtype, Device, nameof(FrozenWeight)).Own();
}

/// <summary>A weight as a tensor: the kept one, or one made for the time of a call.</summary>
internal readonly ref struct DenseWeight(Tensor tensor, bool owned)
{
    public Tensor Tensor { get; } = tensor;

    public void Dispose()
    {
        if (owned) Tensor.Dispose();
    }
}

/// <summary>The reference device's frozen weight.</summary>
internal sealed class ReferenceFrozenWeight(Tensor weight, FrozenStorage storage) : TensorFrozenWeight(weight, storage)
{
    private protected override unsafe void Decode(Tensor codes, Tensor scales, Tensor weight)
    {
        float[] row = new float[In];
        Span<double> to = weight.Span<double>();
        fixed (float* values = row)
            for (int i = 0; i < Out; i++)
            {
                EncodedRows.Decode(
                    Storage, codes.Pointer<byte>() + (long)i * codes.Shape[1], scales.Pointer<float>() + (long)i * scales.Shape[1], In, values);
                for (int j = 0; j < In; j++) to[i * In + j] = row[j];
            }
    }
}
