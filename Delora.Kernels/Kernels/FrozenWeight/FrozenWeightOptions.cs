namespace Delora.Kernels;

/// <summary>How a model keeps its frozen linear layers; chosen when it is loaded.</summary>
public sealed record FrozenWeightOptions
{
    /// <summary>float32, one layout.</summary>
    public static FrozenWeightOptions Default { get; } = new();

    /// <summary>
    /// The storage of linear layers. Embeddings that no linear layer shares, norms and biases stay in the device's floating-point type.
    /// </summary>
    public FrozenStorage Storage { get; init; }

    /// <summary>Which layouts are kept.</summary>
    public FrozenDirections Directions { get; init; }

    /// <summary>
    /// The storage of the output layer, which tied embeddings share. Where nothing is given it is that of the others, except that a quantized
    /// model keeps it <see cref="FrozenStorage.AsStored"/>: errors there act on every score, and bitsandbytes leaves it out as well
    /// (transformers, <c>get_keys_to_not_convert</c>).
    /// </summary>
    public FrozenStorage? OutputStorage { get; init; }

    /// <summary>The storage of a layer.</summary>
    /// <param name="isOutput">Whether it is the output layer.</param>
    public FrozenStorage StorageOf(bool isOutput) =>
        !isOutput ? Storage : OutputStorage ?? (Storage.IsQuantized ? FrozenStorage.AsStored : Storage);

    /// <summary>For instance <c>nf4, output layer stored</c>.</summary>
    public override string ToString() => $"{Storage.Name}, output layer {StorageOf(isOutput: true).Name}";
}
