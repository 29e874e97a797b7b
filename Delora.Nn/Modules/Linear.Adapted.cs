using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>What adapters ask of a linear layer.</summary>
public sealed partial class Linear : IAdaptedLayer
{
    private Parameter? _apart;

    /// <inheritdoc/>
    public ModuleKind Kind => IsTransposed ? ModuleKind.Conv1D : ModuleKind.Linear;

    /// <summary>The embedding whose table the weight is as well, and which lists it among its own; null where there is none.</summary>
    internal Embedding? Table { get; set; }

    /// <summary>Whether the weight is an embedding's as well.</summary>
    internal bool IsTied => Table is not null;

    /// <summary>The weight that an embedding shares, while it can be trained.</summary>
    internal Parameter? Shared => _weight;

    /// <summary>Whether this module lists its weight: a shared one is the embedding's to list, unless one of the two has a copy of its own.</summary>
    private bool IsListed => Table is not { } table || _apart is not null || ((IAdaptedLayer)table).Apart is not null;

    bool IAdaptedLayer.IsTraining => IsTraining;

    bool IAdaptedLayer.KeepsParameters => KeepsParameters;

    IAdaptedLayer? IAdaptedLayer.Partner => Table;

    Parameter? IAdaptedLayer.Apart
    {
        get => _apart;
        set => _apart = value;
    }

    ModuleState IAdaptedLayer.WeightState => WeightState;

    void IAdaptedLayer.Prepare() => Freeze();

    Tensor IAdaptedLayer.CopyOwn(string name) => CopyWeight(name);

    FrozenStorage IAdaptedLayer.Storage => FrozenWeight!.Storage;

    BaseWeight IAdaptedLayer.Exchange(Tensor own, bool dequantize) =>
        new(Exchange(FrozenWeight.Create(own, dequantize ? FrozenStorage.Float32 : FrozenWeight!.Storage, FrozenWeight!.Directions)));

    void IAdaptedLayer.Restore(BaseWeight before) => Exchange(before.Frozen!).Dispose();

    void IAdaptedLayer.Part(Tensor own, bool dequantize)
    {
        var kept = FrozenWeight.Create(own, dequantize ? FrozenStorage.Float32 : FrozenWeight!.Storage, FrozenWeight!.Directions);
        Table?.TakeTable();
        Exchange(kept).Dispose();
    }

    void IAdaptedLayer.AddDelta(Tensor a, Tensor b, Tensor own) => DeltaWeightKernel.Add(a, b, own);

    Tensor IAdaptedLayer.ColumnNorms(BaseWeight? before, string name)
    {
        if ((before?.Frozen ?? FrozenWeight) is { } frozen) return frozen.ColumnNorms(name);
        using Tensor own = CopyWeight();
        Tensor norms = Tensor.Empty([In], own.DType, own.Device, name);
        ColumnNormKernel.Forward(own, norms);
        return norms;
    }

    Tensor IAdaptedLayer.CopyAsStored(Tensor own) =>
        IsTransposed ? Transposition.Of(own, "weight") : Tensor.CopyOf(own, own.Device, "weight");
}
