using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Table of vectors: ids [..] int32 → [.., dim], weight [vocabulary, dim].</summary>
public sealed class Embedding : Module, ITensorModule
{
    private Parameter _weight;

    /// <summary>A table with PyTorch's default initialization, standard normal, or with the given standard deviation.</summary>
    public Embedding(int vocabulary, int dim, Device device, Generator generator, double standardDeviation = 1)
        : this(Initialization.Normal([vocabulary, dim], standardDeviation, device, generator, "weight"))
    {
    }

    /// <summary>A table over a given tensor [vocabulary, dim], which it takes over.</summary>
    public Embedding(Tensor weight)
    {
        Check.HasRank(nameof(Embedding), weight, 2);
        _weight = new Parameter("weight", weight);
    }

    /// <summary>The table [vocabulary, dim].</summary>
    public Parameter Weight => _weight;

    /// <summary>The rows of the given ids.</summary>
    /// <param name="x">ids, int32, any shape.</param>
    /// <returns>[.., dim]</returns>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public Tensor Forward(Tensor x) => Functions.Embedding(_weight, x);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Parameter Parameter)> OwnParameters() => [("weight", _weight)];

    /// <inheritdoc/>
    public override Parameter ExchangeParameter(string name, Parameter replacement) =>
        name == "weight" ? Exchange(ref _weight, replacement) : base.ExchangeParameter(name, replacement);
}
