using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// What adapters ask of an embedding: to them it is the linear layer of one-hot inputs, W [dim, vocabulary] being the table turned over. ΔW = B'A' with
/// A' [r, vocabulary] and B' [dim, r]; w, DeLoRA's norms of the columns of W, are the norms of the table's rows.
/// </summary>
public sealed partial class Embedding : IAdaptedLayer
{
    /// <inheritdoc/>
    public int In => _tied?.Out ?? _weight!.Shape[0];

    /// <inheritdoc/>
    public int Out => _tied?.In ?? _weight!.Shape[1];

    /// <inheritdoc/>
    public ModuleKind Kind => ModuleKind.Embedding;

    /// <inheritdoc/>
    public LinearAdapters Adapters { get; }

    bool IAdaptedLayer.IsTraining => IsTraining;

    bool IAdaptedLayer.KeepsParameters => false;

    IAdaptedLayer? IAdaptedLayer.Partner => _tied;

    Parameter? IAdaptedLayer.Apart
    {
        get => _apart;
        set => _apart = value;
    }

    ModuleState IAdaptedLayer.WeightState => State;

    void IAdaptedLayer.Prepare() => (_tied ?? (Module)this).Freeze();

    Tensor IAdaptedLayer.CopyOwn(string name) => _tied?.CopyWeight(name) ?? Tensor.CopyOf(_weight!.Value, Device, name);

    FrozenStorage IAdaptedLayer.Storage => _tied is IAdaptedLayer { Storage: var storage } ? storage : FrozenStorage.Float32;

    BaseWeight IAdaptedLayer.Exchange(Tensor own, bool dequantize)
    {
        if (_tied is IAdaptedLayer layer) return layer.Exchange(own, dequantize);
        Tensor before = Tensor.CopyOf(_weight!.Value, Device, "base weight");
        _weight.Value.CopyFrom(own);
        return new BaseWeight(before.Own());
    }

    void IAdaptedLayer.Restore(BaseWeight before)
    {
        if (_tied is IAdaptedLayer layer)
        {
            layer.Restore(before);
            return;
        }
        _weight!.Value.CopyFrom(before.Table!);
        before.Dispose();
    }

    void IAdaptedLayer.Part(Tensor own, bool dequantize)
    {
        TakeTable();
        _weight!.Value.CopyFrom(own);
    }

    /// <summary>Goes on with a table of its own, a copy of the one that it shared.</summary>
    internal void TakeTable()
    {
        if (_tied is null) return;
        _weight = new Parameter("weight", _tied.CopyWeight("table")) { RequiresGradient = false };
        _tied.Table = null;
        _tied = null;
    }

    // The table is Wᵀ, and (B'A')ᵀ = A'ᵀ B'ᵀ. The factors are small, and turned in no time.
    void IAdaptedLayer.AddDelta(Tensor a, Tensor b, Tensor own) =>
        DeltaWeightKernel.Add(Transposition.Of(b, "B'ᵀ"), Transposition.Of(a, "A'ᵀ"), own);

    Tensor IAdaptedLayer.ColumnNorms(BaseWeight? before, string name)
    {
        using Tensor own = before?.CopyOwn("table") ?? ((IAdaptedLayer)this).CopyOwn("table");
        Tensor norms = Tensor.Empty([In], own.DType, own.Device, name);
        RowNormKernel.Forward(own, norms);
        return norms;
    }

    Tensor IAdaptedLayer.CopyAsStored(Tensor own) => Tensor.CopyOf(own, own.Device, "weight");

    private ModuleState State => _apart is null && _tied is { } layer ? layer.WeightState : ModuleState.Of(Weight!);
}
