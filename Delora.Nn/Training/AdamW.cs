using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// AdamW with decoupled weight decay (Loshchilov and Hutter 2019), as <c>torch.optim.AdamW</c>; see <see cref="AdamWKernel"/>.
/// </summary>
public sealed class AdamW : Optimizer
{
    private readonly Tensor[] _first, _second;

    /// <summary>Optimizes parameters in one group.</summary>
    public AdamW(IEnumerable<Parameter> parameters, double learningRate = 1e-3, double beta1 = 0.9, double beta2 = 0.999,
        double epsilon = 1e-8, double weightDecay = 0.01)
        : this([new ParameterGroup([.. parameters])], learningRate, beta1, beta2, epsilon, weightDecay)
    {
    }

    /// <summary>Optimizes groups of parameters.</summary>
    /// <param name="groups">Groups, with learning rates and weight decays of their own where they differ.</param>
    /// <param name="learningRate">lr ≥ 0.</param>
    /// <param name="beta1">Decay of the first moment, in [0, 1).</param>
    /// <param name="beta2">Decay of the second moment, in [0, 1).</param>
    /// <param name="epsilon">eps ≥ 0.</param>
    /// <param name="weightDecay">weight_decay ≥ 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">A setting is outside of its range.</exception>
    public AdamW(IReadOnlyList<ParameterGroup> groups, double learningRate = 1e-3, double beta1 = 0.9, double beta2 = 0.999,
        double epsilon = 1e-8, double weightDecay = 0.01)
        : base(groups, new AdamWSettings(learningRate, beta1, beta2, epsilon, weightDecay).Checked().LearningRate, weightDecay)
    {
        (Beta1, Beta2, Epsilon) = (beta1, beta2, epsilon);
        _first = ZerosLikeArenas("AdamW.m");
        _second = ZerosLikeArenas("AdamW.v");
    }

    /// <summary>Decay of the first moment.</summary>
    public double Beta1 { get; }

    /// <summary>Decay of the second moment.</summary>
    public double Beta2 { get; }

    /// <summary>Added to the denominator.</summary>
    public double Epsilon { get; }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Tensor Tensor)> State =>
        _first.Select((tensor, i) => ($"exp_avg.{i}", tensor)).Concat(_second.Select((tensor, i) => ($"exp_avg_sq.{i}", tensor)));

    private protected override void StepGroup(
        int index, ParameterArena arena, Tensor? scale, Func<StepRates> current, Tensor? gate) =>
        AdamWKernel.Step(arena.Values, arena.Gradients, _first[index], _second[index], scale, () =>
        {
            StepRates now = current();
            return (new AdamWSettings(now.LearningRate, Beta1, Beta2, Epsilon, now.WeightDecay), now.Step);
        }, gate);
}
