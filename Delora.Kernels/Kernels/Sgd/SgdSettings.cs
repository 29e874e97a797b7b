using Delora.Core;

namespace Delora.Kernels;

/// <summary>What one step of <see cref="SgdKernel"/> is computed with; PyTorch's names and default values (its dampening is 0).</summary>
/// <param name="LearningRate">lr ≥ 0.</param>
/// <param name="Momentum">momentum ≥ 0; above 0 a buffer is needed.</param>
/// <param name="WeightDecay">weight_decay ≥ 0, added to the gradient.</param>
/// <param name="Nesterov">Whether the step looks ahead along the momentum, which must be above 0 then.</param>
public readonly record struct SgdSettings(double LearningRate, double Momentum = 0, double WeightDecay = 0, bool Nesterov = false)
{
    /// <summary>Refuses settings outside of their ranges; NaN is outside of all.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is; the message names it.</exception>
    public void Validate()
    {
        Require(Check.IsFactor(LearningRate), LearningRate, "the learning rate must be ≥ 0 and finite as float32");
        Require(Check.IsFactor(Momentum), Momentum, "the momentum must be ≥ 0 and finite as float32");
        Require(Check.IsFactor(WeightDecay), WeightDecay, "the weight decay must be ≥ 0 and finite as float32");
        Require(!Nesterov || Momentum > 0, Momentum, "Nesterov needs a momentum above 0");
    }

    private static void Require(bool condition, double value, string what)
    {
        if (!condition) throw new ArgumentOutOfRangeException("settings", value, $"Sgd: {what}");
    }
}
