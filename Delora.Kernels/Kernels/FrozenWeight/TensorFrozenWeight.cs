using Delora.Core;

namespace Delora.Kernels;

/// <summary>A frozen weight kept as the row-major tensor that it was: the reference device's, and the portable one of GPUs.</summary>
internal class TensorFrozenWeight : FrozenWeight
{
    internal TensorFrozenWeight(Tensor weight) : base(weight.Device, weight.Shape[0], weight.Shape[1])
    {
        Weight = Tensor.Empty(weight.Shape, weight.DType, weight.Device, nameof(FrozenWeight)).Own();
        Weight.CopyFrom(weight);
    }

    /// <inheritdoc/>
    public override long ByteLength => Weight.ByteLength;

    /// <summary>W [out, in].</summary>
    internal Tensor Weight { get; }

    /// <inheritdoc/>
    public override Tensor ToTensor(string name = "weight")
    {
        Tensor copy = Tensor.Empty(Weight.Shape, Weight.DType, Device, name);
        copy.CopyFrom(Weight);
        return copy;
    }

    /// <inheritdoc/>
    public override void Dispose() => Weight.Dispose();

    private protected override void ReplaceCore(Tensor weight) => Weight.CopyFrom(weight);

    private protected override void RowsCore(Tensor ids, Tensor y) => EmbeddingKernel.Forward(ids, Weight, y);

    private protected override void ColumnNormsCore(Tensor norms) => ColumnNormKernel.Forward(Weight, norms);
}

/// <summary>The reference device's frozen weight.</summary>
internal sealed class ReferenceFrozenWeight(Tensor weight) : TensorFrozenWeight(weight);
