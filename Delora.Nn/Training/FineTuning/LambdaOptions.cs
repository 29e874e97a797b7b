using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// How DeLoRA's λ is trained, which sets the length of every update: ‖ΔW‖_F ≤ |λ|·max w. Where nothing is given it is a parameter like any other,
/// as in PEFT.
/// </summary>
public sealed record LambdaOptions
{
    /// <summary>λ's learning rate; null for that of everything else. The schedule's factor multiplies it too.</summary>
    public double? LearningRate { get; init; }

    /// <summary>λ's weight decay; null for that of everything else. AdamW's decay pulls λ, and with it the updates' length, towards 0.</summary>
    public double? WeightDecay { get; init; }

    /// <summary>Whether λ stays where it starts: the bound of every layer is then known before the training.</summary>
    public bool Frozen { get; init; }

    /// <summary>The least λ: after each step λ is put back into its range. Null for no limit.</summary>
    public double? Min { get; init; }

    /// <summary>The largest λ, and so the largest bound that training can reach. Null for no limit.</summary>
    public double? Max { get; init; }

    /// <summary>
    /// Steps N over which λ rises from 0 to its start: after k ≤ N steps it is start · k / N, whatever its gradient; then it is trained, or stays
    /// where it is frozen. The first step computes with λ = 0, where A and B have no gradient and do not move, as a warm-up of the learning rate
    /// leaves all parameters where they are in its first step. The range holds from step N on.
    /// </summary>
    public int WarmupSteps { get; init; }

    /// <exception cref="ArgumentException">An option is outside of its range, or two contradict each other.</exception>
    internal void Validate()
    {
        foreach ((string name, double? value) in (ReadOnlySpan<(string, double?)>)[(nameof(LearningRate), LearningRate), (nameof(WeightDecay), WeightDecay)])
            if (value is { } given && !Check.IsFactor(given))
                throw new ArgumentOutOfRangeException($"Lambda.{name}", given, "must be ≥ 0 and finite as float32.");
        foreach ((string name, double? value) in (ReadOnlySpan<(string, double?)>)[(nameof(Min), Min), (nameof(Max), Max)])
            if (value is { } given && !float.IsFinite((float)given))
                throw new ArgumentOutOfRangeException($"Lambda.{name}", given, "must be finite as float32.");
        if (Min > Max) throw new ArgumentException($"Lambda: the range from {Min} to {Max} is empty.");
        ArgumentOutOfRangeException.ThrowIfNegative(WarmupSteps);
        if (Frozen && (LearningRate ?? WeightDecay ?? Min ?? Max) is not null)
            throw new ArgumentException("Lambda: a frozen λ has no learning rate, no weight decay and no range.");
    }
}
