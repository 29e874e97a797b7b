using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Root mean square norm over the last dimension: y = x / √(mean x² + ε) ∘ weight; x, y [.., dim].</summary>
public sealed class RmsNorm : Module, ITensorModule
{
    private Parameter _weight;

    /// <summary>A norm over a given weight [dim], which it takes over.</summary>
    /// <param name="weight">[dim]</param>
    /// <param name="epsilon">ε, at least 0.</param>
    public RmsNorm(Tensor weight, double epsilon)
    {
        Check.HasRank(nameof(RmsNorm), weight, 1);
        _weight = new Parameter("weight", weight);
        Epsilon = epsilon;
    }

    /// <summary>The weight [dim].</summary>
    public Parameter Weight => _weight;

    /// <summary>ε.</summary>
    public double Epsilon { get; }

    /// <inheritdoc/>
    public Tensor Forward(Tensor x) => x.RmsNorm(_weight, Epsilon);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Parameter Parameter)> OwnParameters() => [("weight", _weight)];

    /// <inheritdoc/>
    public override Parameter ExchangeParameter(string name, Parameter replacement) =>
        name == "weight" ? Exchange(ref _weight, replacement) : base.ExchangeParameter(name, replacement);
}
