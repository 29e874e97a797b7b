using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Layer norm over the last dimension: y = (x − mean) / √(variance + ε) ∘ weight + bias; x, y [.., dim].</summary>
public sealed class LayerNorm : Module, ITensorModule
{
    private Parameter _weight;
    private Parameter? _bias;

    /// <summary>A norm over given tensors, which it takes over.</summary>
    /// <param name="weight">[dim]</param>
    /// <param name="bias">[dim]; null for none.</param>
    /// <param name="epsilon">ε, at least 0.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public LayerNorm(Tensor weight, Tensor? bias, double epsilon)
    {
        Check.HasRank(nameof(LayerNorm), weight, 1);
        if (bias is not null) Check.HasShape(nameof(LayerNorm), bias, weight.Shape);
        _weight = new Parameter("weight", weight);
        _bias = bias is null ? null : new Parameter("bias", bias);
        Epsilon = epsilon;
    }

    /// <summary>The weight [dim].</summary>
    public Parameter Weight => _weight;

    /// <summary>The bias [dim]; null where there is none.</summary>
    public Parameter? Bias => _bias;

    /// <summary>ε.</summary>
    public double Epsilon { get; }

    /// <inheritdoc/>
    public Tensor Forward(Tensor x) => x.LayerNorm(_weight, _bias?.Value, Epsilon);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Parameter Parameter)> OwnParameters()
    {
        yield return ("weight", _weight);
        if (_bias is not null) yield return ("bias", _bias);
    }

    /// <inheritdoc/>
    public override Parameter ExchangeParameter(string name, Parameter replacement) => name switch
    {
        "weight" => Exchange(ref _weight, replacement),
        "bias" when _bias is not null => Exchange(ref _bias!, replacement),
        _ => base.ExchangeParameter(name, replacement),
    };
}
