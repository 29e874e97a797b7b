using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Parameters that are trained alike, for instance every <c>delora_lambda</c> with a learning rate of its own.</summary>
/// <param name="Parameters">At least one; all require a gradient.</param>
public sealed record ParameterGroup(IReadOnlyList<Parameter> Parameters)
{
    /// <summary>Learning rate of the group; the optimizer's where it is null.</summary>
    public double? LearningRate { get; init; }

    /// <summary>Weight decay of the group; the optimizer's where it is null.</summary>
    public double? WeightDecay { get; init; }

    internal void Validate()
    {
        Require(LearningRate, nameof(LearningRate));
        Require(WeightDecay, nameof(WeightDecay));
        RequireGradients();
    }

    /// <summary>A frozen parameter would be moved by the weight decay and the momentum all the same.</summary>
    internal void RequireGradients()
    {
        foreach (Parameter parameter in Parameters)
            if (!parameter.RequiresGradient)
                throw new InvalidOperationException(
                    $"The parameter '{parameter.Name}' {parameter.Shape} is frozen: an optimizer must not hold it.");
    }

    private static void Require(double? value, string name)
    {
        if (value is { } given && !Check.IsFactor(given))
            throw new ArgumentOutOfRangeException(name, given, $"The {name} of a parameter group must be ≥ 0 and finite as float32.");
    }
}
