namespace Delora.Nn;

/// <summary>What the trainer does where the loss or a gradient is NaN or infinite.</summary>
public enum NonFinitePolicy
{
    /// <summary>Stops with a <see cref="Core.NonFiniteException"/>; the parameters are as the step before left them.</summary>
    Stop,

    /// <summary>Leaves the step out and goes on; <see cref="TrainingResult.SkippedSteps"/> counts.</summary>
    Skip,
}

/// <summary>How a <see cref="Trainer{TBatch}"/> works.</summary>
public sealed record TrainerOptions
{
    /// <summary>Optimizer steps of the whole run, at least 1.</summary>
    public required int Steps { get; init; }

    /// <summary>
    /// Steps that an interrupted run has taken already: the first step here has the number after it, for the schedule too.
    /// </summary>
    public int StepsDone { get; init; }

    /// <summary>Factor of the learning rate over the steps.</summary>
    public LearningRateSchedule Schedule { get; init; } = LearningRateSchedule.Constant();

    /// <summary>Batches whose gradients are averaged for one step.</summary>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>Gradients are scaled down to this norm; 0 for no clipping.</summary>
    public double MaxGradientNorm { get; init; }

    /// <summary>What happens where the loss or a gradient is NaN or infinite.</summary>
    public NonFinitePolicy NonFinite { get; init; }

    /// <summary>
    /// Whether a step is recorded as graphs on a CUDA card: the optimizer's step, and the passes of a batch where the trainer's loss can be
    /// (<see cref="Trainer{TBatch}.Recordable"/>). The same numbers to the last bit, in two launches. Elsewhere it means nothing.
    /// </summary>
    public bool UseCudaGraph { get; init; } = true;

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(Steps, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(StepsDone);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(StepsDone, Steps);
        ArgumentOutOfRangeException.ThrowIfLessThan(GradientAccumulation, 1);
        if (!(MaxGradientNorm >= 0 && double.IsFinite(MaxGradientNorm)))
            throw new ArgumentOutOfRangeException(nameof(MaxGradientNorm), MaxGradientNorm,
                "The largest gradient norm must be a finite number ≥ 0.");
    }
}

/// <summary>What of a run was replayed from graphs.</summary>
/// <param name="Replayed">Passes.</param>
/// <param name="ReplayedSteps">Optimizer steps.</param>
/// <param name="Obstacles">Why others were not.</param>
internal sealed record RecordedSteps(long Replayed, long ReplayedSteps, IReadOnlyList<string> Obstacles)
{
    internal static RecordedSteps None { get; } = new(0, 0, []);
}

/// <summary>One finished optimizer step.</summary>
/// <param name="Step">Number of the step, from 1.</param>
/// <param name="TotalSteps">Steps of the whole run.</param>
/// <param name="Loss">Mean loss over the step's batches, before the step.</param>
/// <param name="LearningRate">The optimizer's learning rate times the schedule's factor at this step.</param>
/// <param name="GradientNorm">Norm of all gradients before clipping.</param>
/// <param name="Skipped">Whether the step was left out because the loss or a gradient was not finite.</param>
/// <param name="Samples">Samples seen since the start of this run.</param>
/// <param name="Elapsed">Time since the start of this run.</param>
/// <param name="TimeLeft">What the rest will take at the pace so far, the slow first step not counted once there is a second.</param>
public readonly record struct TrainingProgress(
    int Step, int TotalSteps, double Loss, double LearningRate, double GradientNorm, bool Skipped, long Samples, TimeSpan Elapsed,
    TimeSpan TimeLeft)
{
    /// <summary>Samples per second since the start.</summary>
    public double SamplesPerSecond => Elapsed > TimeSpan.Zero ? Samples / Elapsed.TotalSeconds : 0;
}

/// <summary>What a run came to.</summary>
/// <param name="Steps">Steps done, those of an earlier run and those left out included.</param>
/// <param name="SkippedSteps">Steps left out because the loss or a gradient was not finite.</param>
/// <param name="LastLoss">Loss of the last step; NaN before the first.</param>
/// <param name="Samples">Samples seen.</param>
/// <param name="Elapsed">Time taken.</param>
public sealed record TrainingResult(int Steps, int SkippedSteps, double LastLoss, long Samples, TimeSpan Elapsed);

/// <summary>Something that takes part in a run: evaluates, saves, records. All methods have empty defaults.</summary>
public interface ITrainerCallback
{
    /// <summary>
    /// Whether it must be told of a step before the next one begins, because it saves or changes something. Where nobody must, a CUDA card is not waited
    /// for: the report comes after the next step was asked for, and the gradients are that step's.
    /// </summary>
    /// <param name="step">Number of the step, from 1.</param>
    /// <param name="totalSteps">Steps of the whole run.</param>
    bool MustFollow(int step, int totalSteps) => true;

    /// <summary>After each optimizer step; the gradients are still there, unless <see cref="MustFollow"/> said that they need not.</summary>
    void OnStep(in TrainingProgress progress) { }

    /// <summary>After the last step.</summary>
    void OnCompleted(TrainingResult result) { }

    /// <summary>When the run is cancelled, between two steps and before the exception: the place for a checkpoint.</summary>
    void OnCancelled(TrainingResult result) { }
}
