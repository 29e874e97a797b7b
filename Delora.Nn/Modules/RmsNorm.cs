using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Root mean square norm over the last dimension: y = x / √(mean x² + ε) ∘ (weight + offset); x, y [.., dim].</summary>
public sealed class RmsNorm : Module, ITensorModule
{
    // [dim], all of them the offset; null where it is 0.
    private readonly Tensor? _offset;
    private Parameter _weight;

    /// <summary>A norm over a given weight [dim], which it takes over.</summary>
    /// <param name="weight">[dim]</param>
    /// <param name="epsilon">ε, at least 0.</param>
    /// <param name="offset">What is added to the weight: 0, or 1 in Gemma, whose weights are learnt around 0.</param>
    public RmsNorm(Tensor weight, double epsilon, double offset = 0)
    {
        Check.HasRank(nameof(RmsNorm), weight, 1);
        _weight = new Parameter("weight", weight);
        Epsilon = epsilon;
        if (offset != 0)
            _offset = Tensor.From(Enumerable.Repeat(offset, weight.Shape[0]).ToArray(), weight.Shape, weight.Device, "norm offset").Own();
    }

    /// <summary>The weight [dim].</summary>
    public Parameter Weight => _weight;

    /// <summary>ε.</summary>
    public double Epsilon { get; }

    /// <inheritdoc/>
    public Tensor Forward(Tensor x) => x.RmsNorm(_offset is null ? _weight : _weight.Value.Add(_offset), Epsilon);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Parameter Parameter)> OwnParameters() => [("weight", _weight)];

    /// <inheritdoc/>
    public override Parameter ExchangeParameter(string name, Parameter replacement) =>
        name == "weight" ? Exchange(ref _weight, replacement) : base.ExchangeParameter(name, replacement);

    /// <inheritdoc/>
    protected override void DisposeOwn()
    {
        base.DisposeOwn();
        _offset?.Dispose();
    }
}
