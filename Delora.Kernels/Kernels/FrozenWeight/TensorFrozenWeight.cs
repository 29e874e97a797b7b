using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// A frozen weight kept row by row: the reference device's, and the portable one of GPUs. In float32 it is the tensor that it was; else codes and scales,
/// [out, in] of 16 bits or [out, bytes of a row]. The reference device makes a tensor of the whole weight from them for the time of a call; products and lookups
/// of GPUs read them as they lie.
/// </summary>
internal abstract class TensorFrozenWeight : FrozenWeight
{
    private protected TensorFrozenWeight(Tensor weight, FrozenStorage storage)
        : base(weight.Device, weight.Shape[0], weight.Shape[1], storage, FrozenDirections.One)
    {
        Codes = storage switch
        {
            FrozenStorage.Float32 => Make([Out, In], weight.DType),
            FrozenStorage.BFloat16 => Make([Out, In], DType.BFloat16),
            FrozenStorage.Float16 => Make([Out, In], DType.Float16),
            _ => Make([Out, EncodedRows.RowBytes(storage, In)], DType.UInt8),
        };
        try
        {
            if (storage.IsQuantized) Scales = Make([Out, StoredPanels.ScalesOf(storage, In)], DType.Float32);
            SetWeight(weight);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The numbers [out, in] as they are kept, or the codes of a quantized storage, [out, <see cref="EncodedRows.RowBytes"/>].</summary>
    private protected Tensor Codes { get; }

    /// <summary>[out, scales of a row]; null where the storage is not quantized.</summary>
    private protected Tensor? Scales { get; }

    /// <inheritdoc/>
    public override long ByteLength => base.ByteLength + Codes.ByteLength + (Scales?.ByteLength ?? 0);

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
        Codes.Dispose();
        Scales?.Dispose();
    }

    /// <summary>W [out, in] as a tensor, to be disposed after use.</summary>
    internal DenseWeight Dense() => Storage == FrozenStorage.Float32 ? new(Codes, owned: false) : new(ToTensor(nameof(FrozenWeight)), owned: true);

    private protected override WeightError WriteCore(Tensor weight)
    {
        // On the host, and without memory of the device.
        if (Storage != FrozenStorage.Float32) return Device.IsPlanning ? default : EncodedRows.Write(weight, Storage, Codes, Scales);
        Codes.CopyFrom(weight);
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
        if (Storage == FrozenStorage.Float32) weight.CopyFrom(Codes);
        else if (Scales is null) CastKernel.Forward(Codes, weight);
        else Decode(Codes, Scales, weight);
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
