using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Sets elements to zero with probability p and scales the others by 1/(1−p), in training only. The mask comes from the generator's numbers
/// and is never stored.
/// </summary>
public sealed class Dropout : Module, ITensorModule
{
    private readonly float _probability;
    private readonly Generator _generator;

    /// <summary>A dropout layer.</summary>
    /// <param name="probability">p in [0, 1).</param>
    /// <param name="generator">Where the masks come from.</param>
    /// <exception cref="ArgumentOutOfRangeException">p is not in [0, 1).</exception>
    public Dropout(float probability, Generator generator)
    {
        _probability = new DropoutMask(probability, default).Validated().Probability;
        _generator = generator;
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor x) =>
        IsTraining && _probability > 0 ? x.Dropout(_probability, _generator.Reserve(x.ElementCount)) : x;
}
