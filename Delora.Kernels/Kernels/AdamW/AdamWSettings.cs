using Delora.Core;

namespace Delora.Kernels;

/// <summary>What one step of <see cref="AdamWKernel"/> is computed with; PyTorch's names and default values.</summary>
/// <param name="LearningRate">lr ≥ 0.</param>
/// <param name="Beta1">Decay of the first moment, in [0, 1).</param>
/// <param name="Beta2">Decay of the second moment, in [0, 1).</param>
/// <param name="Epsilon">eps ≥ 0, added to the denominator.</param>
/// <param name="WeightDecay">weight_decay ≥ 0, decoupled: not part of the gradient.</param>
public readonly record struct AdamWSettings(
    double LearningRate, double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8, double WeightDecay = 0.01)
{
    /// <summary>Refuses settings outside of their ranges; NaN is outside of all.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is; the message names it.</exception>
    public void Validate()
    {
        Require(Check.IsFactor(LearningRate), LearningRate, "the learning rate must be ≥ 0 and finite as float32");
        Require(Beta1 is >= 0 and < 1, Beta1, "beta1 must lie in [0, 1)");
        Require(Beta2 is >= 0 and < 1, Beta2, "beta2 must lie in [0, 1)");
        Require(Check.IsFactor(Epsilon), Epsilon, "epsilon must be ≥ 0 and finite as float32");
        Require(Check.IsFactor(WeightDecay), WeightDecay, "the weight decay must be ≥ 0 and finite as float32");
    }

    private static void Require(bool condition, double value, string what)
    {
        if (!condition) throw new ArgumentOutOfRangeException("settings", value, $"AdamW: {what}");
    }
}

/// <summary>The factors of one step, computed in float64 as Python computes them, then rounded once.</summary>
internal readonly struct AdamWFactors
{
    internal readonly float Keep, Beta1, OneMinusBeta1, Beta2, OneMinusBeta2, RootCorrection2, Epsilon, StepSize;

    internal AdamWFactors(in AdamWSettings settings, long step)
    {
        Keep = (float)(1 - settings.LearningRate * settings.WeightDecay);
        Beta1 = (float)settings.Beta1;
        OneMinusBeta1 = (float)(1 - settings.Beta1);
        Beta2 = (float)settings.Beta2;
        OneMinusBeta2 = (float)(1 - settings.Beta2);
        RootCorrection2 = (float)Math.Sqrt(1 - Math.Pow(settings.Beta2, step));
        Epsilon = (float)settings.Epsilon;
        StepSize = (float)(settings.LearningRate / (1 - Math.Pow(settings.Beta1, step)));
    }
}
