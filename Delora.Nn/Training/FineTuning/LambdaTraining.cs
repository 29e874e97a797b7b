using System.Globalization;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Trains the λ of a model's active DeLoRA adapters as <see cref="LambdaOptions"/> say: a group of their own, frozen, kept in a range, warmed up.
/// <see cref="FineTuner"/> uses it; a training loop of your own takes it as a callback:
/// <code>
/// var lambda = new LambdaTraining(model, new LambdaOptions { LearningRate = 1e-2, Max = 20, WarmupSteps = 50 });
/// using var optimizer = new AdamW(lambda.Groups(), 1e-3);
/// var trainer = new Trainer&lt;Batch&gt;(optimizer, loss) { Callbacks = { lambda } };
/// lambda.Begin();
/// trainer.Run(…);
/// </code>
/// </summary>
/// <remarks>
/// λ's value is always what the model computes with, so that an adapter can be saved after any step. With the residual initialization it is the λ
/// that both branches share; the file then says 2λ. Range and warm-up belong to the trainer's step: the device itself puts λ where it is to be, and nobody
/// waits.
/// </remarks>
public sealed class LambdaTraining : ITrainerCallback, IStepPart
{
    private readonly PeftModel _model;
    private readonly LambdaOptions _options;
    private readonly (Parameter Lambda, double Start)[] _lambdas;
    private (int Step, ClampRange[] Ranges) _ranges = (-1, []);

    /// <summary>Takes over the λ of the active adapters; frozen, they are no longer among the trainable parameters.</summary>
    /// <exception cref="ArgumentException">
    /// An option is outside of its range, no active adapter has a λ, or a layer's λ starts outside of the range.
    /// </exception>
    public LambdaTraining(PeftModel model, LambdaOptions options)
    {
        options.Validate();
        (_model, _options) = (model, options);
        _lambdas = [.. from pair in model.AdaptedLayers
                       from name in pair.Layer.Adapters.Active
                       let adapter = pair.Layer.Adapters[name] as DeloraAdapter
                       where adapter is not null
                       select (adapter.Lambda, adapter.Lambda.Value.ToScalar())];
        if (_lambdas.Length == 0) throw new ArgumentException("The adapter has no λ that could be trained in a way of its own.", nameof(model));
        foreach ((_, double start) in _lambdas)
            if (start < _options.Min || start > _options.Max)
            {
                (double least, double most) = (_options.Min ?? double.NegativeInfinity, _options.Max ?? double.PositiveInfinity);
                throw new ArgumentException(
                    FormattableString.Invariant($"Lambda: a layer's λ starts at {start}, outside of the range from {least} to {most}."), nameof(options));
            }
        if (!_options.Frozen) return;
        foreach ((Parameter lambda, _) in _lambdas) lambda.RequiresGradient = false;
    }

    /// <summary>What the optimizer trains: everything in one group, or λ in a second one where it has a learning rate or a decay of its own.</summary>
    public IReadOnlyList<ParameterGroup> Groups()
    {
        Parameter[] all = [.. _model.TrainableParameters().Select(entry => entry.Parameter)];
        if (_options.LearningRate is null && _options.WeightDecay is null) return [new ParameterGroup(all)];
        HashSet<Parameter> lambdas = [.. _lambdas.Select(entry => entry.Lambda)];
        return
        [
            new ParameterGroup([.. all.Where(parameter => !lambdas.Contains(parameter))]),
            new ParameterGroup([.. all.Where(lambdas.Contains)]) { LearningRate = _options.LearningRate, WeightDecay = _options.WeightDecay },
        ];
    }

    /// <summary>Puts λ where it is after so many steps of the warm-up; a run that goes on behind it is left as it was restored.</summary>
    public void Begin(int stepsDone = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(stepsDone);
        if (_options.WarmupSteps > 0 && stepsDone <= _options.WarmupSteps) Set(stepsDone);
    }

    /// <inheritdoc/>
    public bool MustFollow(int step, int totalSteps) => false;

    bool IStepPart.ActsAfter(int step) => step <= _options.WarmupSteps || _options.Min is not null || _options.Max is not null;

    void IStepPart.AfterStep(Func<int> step, Tensor? gate) =>
        ClampKernel.Forward([.. _lambdas.Select(entry => entry.Lambda.Value)], () => RangesAfter(step()), gate);

    private void Set(int step)
    {
        foreach ((Parameter lambda, double start) in _lambdas) lambda.Value.CopyFrom<double>([WarmAfter(step, start)]);
    }

    /// <summary>Where each λ has to be after a step. Kept for the step, since each is asked for by itself.</summary>
    private ClampRange[] RangesAfter(int step)
    {
        if (_ranges.Step != step)
            _ranges = (step, [.. _lambdas.Select(entry => step > _options.WarmupSteps
                ? new ClampRange(_options.Min ?? double.NegativeInfinity, _options.Max ?? double.PositiveInfinity)
                : new ClampRange(WarmAfter(step, entry.Start), WarmAfter(step, entry.Start)))]);
        return _ranges.Ranges;
    }

    private double WarmAfter(int step, double start) => start * step / _options.WarmupSteps;
}
