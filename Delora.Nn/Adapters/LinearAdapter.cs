using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// A low-rank adapter on one linear layer, or on an embedding (<see cref="IAdaptedLayer"/>): ΔW = B'A' with A' [r, in] and B' [out, r], which each
/// kind folds from its own parameters. A linear layer computes y = x Wᵀ + x̃ A'ᵀ B'ᵀ + b in one product.
/// </summary>
public abstract class LinearAdapter : IDisposable
{
    private protected LinearAdapter(float dropout, Generator? generator, bool onEmbedding)
    {
        OnEmbedding = onEmbedding;
        // 1 drops everything, and needs no random numbers: masks are for what is below.
        Dropout = dropout == 1 ? 1 : new DropoutMask(dropout, default).Validated().Probability;
        Generator = generator;
        if (dropout > 0 && generator is null) throw new ArgumentNullException(nameof(generator), "an adapter with dropout needs a generator for its masks");
    }

    /// <summary>Rank of ΔW as the adapter computes it (the residual initialization counts twice).</summary>
    public abstract int Rank { get; }

    /// <summary>Input features: columns of A' and ΔW.</summary>
    public abstract int In { get; }

    /// <summary>Output features: rows of B' and ΔW.</summary>
    public abstract int Out { get; }

    /// <summary>Whether the adapter sits on an embedding, whose tensors have names of their own in files.</summary>
    public bool OnEmbedding { get; }

    /// <summary>Probability with which elements of x are dropped on the way into the branch, in training only. 1 drops all, as PyTorch's does.</summary>
    public float Dropout { get; }

    /// <summary>The trainable parameters, by the names that PEFT's files give them.</summary>
    public abstract IEnumerable<(string Key, Parameter Parameter)> Parameters { get; }

    private Generator? Generator { get; }

    /// <summary>Computes A' [r, in] and B' [out, r] from the parameters; recorded by the current tape.</summary>
    public abstract (Tensor A, Tensor B) Fold();

    /// <summary>An upper bound of ‖ΔW‖_F that follows from the method itself; null where the method sets none (LoRA).</summary>
    public abstract double? NormBound();

    /// <summary>
    /// ‖ΔW diag(1/w)‖_F, the update in units of the base weight's columns, and its bound; null where the method does not measure in them (LoRA).
    /// </summary>
    public virtual (double Norm, double Bound)? DirectionNorm() => null;

    /// <summary>The tensors that a file keeps, by PEFT's names, as new tensors that the caller disposes.</summary>
    public abstract IEnumerable<(string Key, Tensor Tensor)> CopyState();

    /// <summary>The exact ‖ΔW‖_F, through Gram matrices of size r×r: no [out, in] matrix is made.</summary>
    public double DeltaNorm()
    {
        using IDisposable pause = Tape.Pause();
        (Tensor a, Tensor b) = Fold();
        return ProductNorm(a, b);
    }

    /// <summary>ΔW = B'A' [out, in] as a new tensor, which the caller disposes.</summary>
    public Tensor DeltaWeight()
    {
        using IDisposable pause = Tape.Pause();
        (Tensor a, Tensor b) = Fold();
        Tensor delta = Tensor.Empty([b.Shape[0], a.Shape[1]], a.DType, a.Device, "ΔW");
        DeltaWeightKernel.Forward(a, b, delta);
        return delta.Own();
    }

    /// <summary>Frees the parameters.</summary>
    public abstract void Dispose();

    /// <summary>‖b a‖_F. The caller's scope frees what is made here.</summary>
    private protected static double ProductNorm(Tensor a, Tensor b)
    {
        Tensor norm = Tensor.Empty([1], a.DType, a.Device, "norm of a product");
        LowRankNormKernel.Forward(a, b, norm);
        return norm.ToScalar();
    }

    /// <summary>
    /// As <see cref="Fold()"/>, but A' is 0 where all of x is dropped: the branch of x̃ = 0, whose gradients are zeros and not missing.
    /// </summary>
    internal (Tensor A, Tensor B) Fold(bool training)
    {
        (Tensor a, Tensor b) = Fold();
        return training && Dropout == 1 ? (a.Scale(0), b) : (a, b);
    }

    /// <summary>A new mask for an input of that many elements; null where nothing is dropped, or all (<see cref="Fold(bool)"/>).</summary>
    internal DropoutMask? NextMask(long elements, bool training) =>
        training && Dropout is > 0 and < 1 ? new DropoutMask(Dropout, Generator!.Reserve(elements)) : null;
}
