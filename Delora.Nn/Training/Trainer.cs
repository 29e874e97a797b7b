using System.Diagnostics;
using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// The training loop: forward, backward, step, over batches of any kind. Each batch has a tape of its own, so its memory is returned before the next one;
/// after the first step no new memory is asked for.
/// </summary>
/// <typeparam name="TBatch">What the loss function is computed from.</typeparam>
public sealed class Trainer<TBatch>
{
    private readonly Optimizer _optimizer;
    private readonly Func<TBatch, Tensor> _loss;
    private readonly Func<TBatch, int> _samples;

    /// <summary>A trainer.</summary>
    /// <param name="optimizer">Holds the parameters; stays the caller's.</param>
    /// <param name="loss">Computes the mean loss of a batch, one element, under the trainer's tape.</param>
    /// <param name="samples">How many samples a batch has; 1 each where it is null.</param>
    public Trainer(Optimizer optimizer, Func<TBatch, Tensor> loss, Func<TBatch, int>? samples = null)
    {
        _optimizer = optimizer;
        _loss = loss;
        _samples = samples ?? (_ => 1);
    }

    /// <summary>Who takes part in the run, in order.</summary>
    public IList<ITrainerCallback> Callbacks { get; } = [];

    /// <summary>Trains for the given number of steps.</summary>
    /// <param name="batches">Enough batches for all steps; ended early, the run fails rather than training less than was asked for.</param>
    /// <param name="options">How.</param>
    /// <param name="progress">Told after each step.</param>
    /// <param name="cancellation">Ends the run between two steps.</param>
    /// <exception cref="NonFiniteException">The loss or a gradient is NaN or infinite and <see cref="TrainerOptions.NonFinite"/> says stop.</exception>
    /// <exception cref="InvalidOperationException">The batches ran out.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled; the callbacks were told first.</exception>
    public TrainingResult Run(
        IEnumerable<TBatch> batches, TrainerOptions options, IProgress<TrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        options.Validate();
        var watch = Stopwatch.StartNew();
        long samples = 0;
        int skipped = 0;
        double loss = double.NaN;
        using IEnumerator<TBatch> source = batches.GetEnumerator();
        for (int step = 1; step <= options.Steps; step++)
        {
            if (cancellation.IsCancellationRequested)
            {
                var stopped = new TrainingResult(step - 1, skipped, loss, samples, watch.Elapsed);
                foreach (ITrainerCallback callback in Callbacks) callback.OnCancelled(stopped);
                cancellation.ThrowIfCancellationRequested();
            }
            _optimizer.ZeroGradients();
            loss = Accumulate(source, step, options, ref samples);
            double norm = _optimizer.GradientNorm();
            _optimizer.LearningRateFactor = options.Schedule.FactorAt(step - 1);
            if (double.IsFinite(loss) && double.IsFinite(norm))
                _optimizer.Step(options.MaxGradientNorm);
            else if (options.NonFinite == NonFinitePolicy.Skip)
                skipped++;
            else
                throw new NonFiniteException($"Step {step}: the {(double.IsFinite(loss) ? "gradient norm" : "loss")} is {(double.IsFinite(loss) ? norm : loss)}; the parameters are as step {step - 1} left them.");
            var report = new TrainingProgress(
                step, options.Steps, loss, _optimizer.LearningRate * _optimizer.LearningRateFactor, norm, samples, watch.Elapsed);
            foreach (ITrainerCallback callback in Callbacks) callback.OnStep(report);
            progress?.Report(report);
        }
        var result = new TrainingResult(options.Steps, skipped, loss, samples, watch.Elapsed);
        foreach (ITrainerCallback callback in Callbacks) callback.OnCompleted(result);
        return result;
    }

    /// <summary>Adds up the gradients of one step's batches, each with its share, and returns their mean loss.</summary>
    private double Accumulate(IEnumerator<TBatch> source, int step, TrainerOptions options, ref long samples)
    {
        double sum = 0;
        for (int i = 0; i < options.GradientAccumulation; i++)
        {
            if (!source.MoveNext()) throw new InvalidOperationException($"The batches ran out at step {step} of {options.Steps}.");
            TBatch batch = source.Current;
            using var tape = new Tape("training step");
            Tensor loss = _loss(batch);
            Tensor? share = options.GradientAccumulation == 1
                ? null
                : Tensor.From([1.0 / options.GradientAccumulation], loss.Shape, loss.Device, "share of the batch");
            tape.Backward(loss, share);
            sum += loss.ToScalar();
            samples += _samples(batch);
        }
        return sum / options.GradientAccumulation;
    }
}
