using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// A module whose weight adapters can sit on: a <see cref="Linear"/>, or an <see cref="Embedding"/>, which is the linear layer of one-hot inputs with
/// W [dim, vocabulary], its table turned over.
/// </summary>
public interface IAdaptedLayer
{
    /// <summary>Input features: columns of ΔW. The vocabulary of an embedding.</summary>
    int In { get; }

    /// <summary>Output features: rows of ΔW.</summary>
    int Out { get; }

    /// <summary>Where the layer lies.</summary>
    Device Device { get; }

    /// <summary>What the layer is.</summary>
    ModuleKind Kind { get; }

    /// <summary>The adapters on this layer.</summary>
    LinearAdapters Adapters { get; }

    /// <summary>Whether dropout acts.</summary>
    internal bool IsTraining { get; }

    /// <summary>Whether the layer is trained as a whole and takes no adapter (<c>modules_to_save</c>).</summary>
    internal bool KeepsParameters { get; }

    /// <summary>The other layer that has the same weight (tied embeddings); null where there is none.</summary>
    internal IAdaptedLayer? Partner { get; }

    /// <summary>
    /// A trainable copy of a weight that two layers share, which stands in its place here alone (PEFT's <c>modules_to_save</c> on tied embeddings); the
    /// partner goes on with the shared one. Null where there is none. Another owns it.
    /// </summary>
    internal Parameter? Apart { get; set; }

    /// <summary>
    /// Parts a shared weight for good: this layer computes with a copy of <paramref name="own"/>, kept as the one before is or in float32, the partner with
    /// what both had.
    /// </summary>
    internal void Part(Tensor own, bool dequantize = false);

    /// <summary>The weight as files have it.</summary>
    internal ModuleState WeightState { get; }

    /// <summary>Makes the weight ready to be adapted: frozen.</summary>
    internal void Prepare();

    /// <summary>A copy of the weight in the layout that the layer computes with: [out, in], a table [vocabulary, dim].</summary>
    internal Tensor CopyOwn(string name);

    /// <summary>How the weight is kept.</summary>
    internal FrozenStorage Storage { get; }

    /// <summary>
    /// Computes with another weight in that layout from now on, kept as the one before is (rounded where that has 16 bits), or in float32.
    /// </summary>
    /// <returns>The weight before, which is the caller's.</returns>
    internal BaseWeight Exchange(Tensor own, bool dequantize);

    /// <summary>Computes with a weight again that <see cref="Exchange"/> gave, and takes it over.</summary>
    internal void Restore(BaseWeight before);

    /// <summary>Adds ΔW = B'A', A' [r, in] and B' [out, r], to a weight in that layout.</summary>
    internal void AddDelta(Tensor a, Tensor b, Tensor own);

    /// <summary>
    /// The norms ‖W_:,j‖ [in] of the weight, or of one that it had before, as a new tensor: those of the weight that was given, before a storage of fewer
    /// bits rounded it; of an embedding over the weight of an output layer, those of the rounded one.
    /// </summary>
    internal Tensor ColumnNorms(BaseWeight? before, string name);

    /// <summary>A copy of a weight in that layout as files have it.</summary>
    internal Tensor CopyAsStored(Tensor own);
}
