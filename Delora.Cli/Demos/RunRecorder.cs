using System.Diagnostics;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>How far one layer's weight is from the base.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Norm">‖ΔW‖_F.</param>
/// <param name="Bound">What it cannot exceed; null where the method sets no bound.</param>
internal readonly record struct LayerUpdate(string Layer, double Norm, double? Bound);

/// <summary>
/// Takes down one training run: the loss of each step, the distance of each layer from the base, held-out scores; and tells the console.
/// </summary>
internal sealed class RunRecorder<TScores>(IProgress<StepProgress> progress) : ITrainerCallback, IProgress<TrainingProgress>
{
    /// <summary>Rounding may carry a norm that stands at its bound this far across it, relative to the bound.</summary>
    public const double BoundTolerance = 1e-5;

    private readonly Stopwatch _pauses = new();
    private readonly List<(double, double)> _losses = [];
    private readonly List<(int, IReadOnlyList<LayerUpdate>)> _updates = [];
    private readonly List<(int, TScores)> _scores = [];

    /// <summary>Measures the layers' distances, every <see cref="WatchEvery"/> steps; null: none.</summary>
    public Func<IReadOnlyList<LayerUpdate>>? Watch { get; init; }

    public int WatchEvery { get; init; } = 1;

    /// <summary>Evaluates on held-out text, every <see cref="EvaluateEvery"/> steps; null: never.</summary>
    public Func<TScores>? Evaluate { get; init; }

    public int EvaluateEvery { get; init; } = 1;

    /// <summary>Step and loss.</summary>
    public IReadOnlyList<(double Step, double Loss)> Losses => _losses;

    /// <summary>Step and distance of each layer.</summary>
    public IReadOnlyList<(int Step, IReadOnlyList<LayerUpdate> Layers)> Updates => _updates;

    /// <summary>Step and held-out scores.</summary>
    public IReadOnlyList<(int Step, TScores Scores)> Scores => _scores;

    /// <summary>The largest ‖ΔW‖_F / bound seen; null where there is no bound.</summary>
    public double? LargestShareOfBound { get; private set; }

    /// <summary>Samples a second, the time of measuring and evaluating left out.</summary>
    public double SamplesPerSecond { get; private set; }

    /// <summary>Takes down where the run starts from.</summary>
    public void OnStart(TScores scores)
    {
        _scores.Add((0, scores));
        Measure(0);
    }

    /// <inheritdoc/>
    public void OnStep(in TrainingProgress value)
    {
        _losses.Add((value.Step, value.Loss));
        SamplesPerSecond = value.Samples / Math.Max((value.Elapsed - _pauses.Elapsed).TotalSeconds, 1e-6);
        _pauses.Start();
        bool last = value.Step == value.TotalSteps;
        if (last || value.Step % WatchEvery == 0)
            Measure(value.Step);
        if (Evaluate is not null && (last || value.Step % EvaluateEvery == 0))
            _scores.Add((value.Step, Evaluate()));
        _pauses.Stop();
        progress.Report(new StepProgress(value.Step, value.Loss, value.LearningRate, value.Samples));
    }

    /// <summary>The same where the trainer takes no callbacks.</summary>
    void IProgress<TrainingProgress>.Report(TrainingProgress value) => OnStep(value);

    private void Measure(int step)
    {
        if (Watch is null)
            return;
        IReadOnlyList<LayerUpdate> updates = Watch();
        _updates.Add((step, updates));
        foreach (LayerUpdate update in updates)
        {
            if (update.Bound is not { } bound)
                continue;
            if (!(update.Norm <= bound * (1 + BoundTolerance)))
                throw new DeloraException($"step {step}: ‖ΔW‖ of {update.Layer} is {update.Norm:R}, above its bound {bound:R}");
            LargestShareOfBound = Math.Max(LargestShareOfBound ?? 0, update.Norm / bound);
        }
    }
}
