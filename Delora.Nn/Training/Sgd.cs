using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>Stochastic gradient descent with momentum, as <c>torch.optim.SGD</c> with dampening 0; see <see cref="SgdKernel"/>.</summary>
public sealed class Sgd : Optimizer
{
    private readonly Tensor[] _buffers;

    /// <summary>Optimizes parameters in one group.</summary>
    public Sgd(IEnumerable<Parameter> parameters, double learningRate = 1e-3, double momentum = 0, double weightDecay = 0,
        bool nesterov = false)
        : this([new ParameterGroup([.. parameters])], learningRate, momentum, weightDecay, nesterov)
    {
    }

    /// <summary>Optimizes groups of parameters.</summary>
    /// <param name="groups">Groups, with learning rates and weight decays of their own where they differ.</param>
    /// <param name="learningRate">lr ≥ 0.</param>
    /// <param name="momentum">momentum ≥ 0.</param>
    /// <param name="weightDecay">weight_decay ≥ 0, added to the gradient.</param>
    /// <param name="nesterov">Whether steps look ahead along the momentum.</param>
    /// <exception cref="ArgumentOutOfRangeException">A setting is outside of its range.</exception>
    public Sgd(IReadOnlyList<ParameterGroup> groups, double learningRate = 1e-3, double momentum = 0,
        double weightDecay = 0, bool nesterov = false)
        : base(groups, new SgdSettings(learningRate, momentum, weightDecay, nesterov).Checked().LearningRate, weightDecay)
    {
        (Momentum, Nesterov) = (momentum, nesterov);
        _buffers = momentum > 0 ? ZerosLikeArenas("Sgd.momentum") : [];
    }

    /// <summary>Share of the last step that goes on.</summary>
    public double Momentum { get; }

    /// <summary>Whether steps look ahead along the momentum.</summary>
    public bool Nesterov { get; }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Tensor Tensor)> State => _buffers.Select((tensor, i) => ($"momentum_buffer.{i}", tensor));

    private protected override void StepGroup(
        int index, ParameterArena arena, Tensor? scale, Func<StepRates> current, Tensor? gate) =>
        SgdKernel.Step(arena.Values, arena.Gradients, _buffers.Length == 0 ? null : _buffers[index], scale, () =>
        {
            StepRates now = current();
            return (new SgdSettings(now.LearningRate, Momentum, now.WeightDecay, Nesterov), now.Step);
        }, gate);
}
