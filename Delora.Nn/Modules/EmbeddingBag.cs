using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// A table whose rows are summed or averaged over bags of ids, as <c>torch.nn.EmbeddingBag</c> with <c>include_last_offset=True</c>:
/// weight [vocab, dim], y [bags, dim]. See <see cref="EmbeddingBagKernel"/>.
/// </summary>
public sealed class EmbeddingBag : Module
{
    private Parameter _weight;

    /// <summary>A table with PyTorch's default initialization: normal with mean 0 and deviation 1.</summary>
    public EmbeddingBag(int vocab, int dim, Device device, Generator generator, EmbeddingBagMode mode = EmbeddingBagMode.Mean)
        : this(Initialization.Normal([vocab, dim], 1, device, generator, "weight"), mode)
    {
    }

    /// <summary>A layer over a given table, which it takes over.</summary>
    /// <param name="weight">[vocab, dim]</param>
    /// <param name="mode">Sum or mean.</param>
    /// <exception cref="ShapeException">The weight is no table.</exception>
    public EmbeddingBag(Tensor weight, EmbeddingBagMode mode = EmbeddingBagMode.Mean)
    {
        Check.HasRank(nameof(EmbeddingBag), weight, 2);
        _weight = new Parameter("weight", weight);
        Mode = mode;
    }

    /// <summary>Whether a bag's rows are summed or averaged.</summary>
    public EmbeddingBagMode Mode { get; }

    /// <summary>The table [vocab, dim].</summary>
    public Parameter Weight => _weight;

    /// <summary>The sum or the mean of each bag's rows.</summary>
    /// <param name="ids">int32 [total], bag after bag.</param>
    /// <param name="offsets">int32 [bags + 1]: where each bag starts; from 0 to total.</param>
    /// <returns>[bags, dim]; 0 for an empty bag.</returns>
    /// <exception cref="IndexException">An id is negative or not below vocab, or the offsets are not as described.</exception>
    public Tensor Forward(Tensor ids, Tensor offsets) => _weight.Value.EmbeddingBag(ids, offsets, Mode);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Parameter Parameter)> OwnParameters() => [("weight", _weight)];

    /// <inheritdoc/>
    public override Parameter ExchangeParameter(string name, Parameter replacement) =>
        name == "weight" ? Exchange(ref _weight, replacement) : base.ExchangeParameter(name, replacement);
}
