using System.Diagnostics;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// The training loop: forward, backward, step, over batches of any kind. Each batch has a tape of its own, so its memory is returned
/// before the next one; after the first step no new memory is asked for. The loss and the norm of the gradients are looked at before the
/// parameters move.
/// </summary>
/// <remarks>
/// The trainer knows no model: <see cref="Module.Train"/> comes before the run, or dropout does nothing, and a callback that evaluates
/// switches to <c>Train(false)</c> and back. Gradients are zeroed before each step. Callbacks and progress are told on the thread that
/// trains, in no scope: what they compute belongs in a <see cref="TensorScope"/> of their own.
/// </remarks>
/// <typeparam name="TBatch">What the loss function is computed from.</typeparam>
public sealed class Trainer<TBatch>
{
    private readonly Optimizer _optimizer;
    private readonly Func<TBatch, Tensor> _loss;
    private readonly Func<TBatch, int> _samples;
    private TrainingRun? _run;

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

    /// <summary>
    /// The loss in two parts; null where it cannot be had so. On a CUDA card the passes of a batch are then recorded and replayed as graphs, where
    /// <see cref="TrainerOptions.UseCudaGraph"/> says so.
    /// </summary>
    public RecordableLoss<TBatch>? Recordable { get; init; }

    /// <summary>Passes of the last run that were replayed from a graph, and why others were not.</summary>
    internal (long Replayed, IReadOnlyList<string> Obstacles) Recorded { get; private set; }

    /// <summary>Who takes part in the run, in order.</summary>
    public IList<ITrainerCallback> Callbacks { get; } = [];

    /// <summary>Trains for the given number of steps.</summary>
    /// <param name="batches">Enough batches for all steps; ended early, the run fails rather than training less than was asked for.</param>
    /// <param name="options">How.</param>
    /// <param name="progress">Told after each step.</param>
    /// <param name="cancellation">Ends the run between two steps.</param>
    /// <exception cref="NonFiniteException">The loss or a gradient is NaN or infinite and <see cref="TrainerOptions.NonFinite"/> says
    /// stop.</exception>
    /// <exception cref="InvalidOperationException">The batches ran out.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled; the callbacks were told first.</exception>
    public TrainingResult Run(
        IEnumerable<TBatch> batches, TrainerOptions options, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        using var run = new TrainingRun(this, options, progress);
        using IEnumerator<TBatch> source = batches.GetEnumerator();
        try
        {
            while (run.Begin(cancellation))
            {
                for (int i = 0; i < options.GradientAccumulation; i++)
                    run.Accumulate(source.MoveNext() ? source.Current : throw run.OutOfBatches());
                run.FinishStep();
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            run.TellCancelled();
            throw;
        }
        return run.Complete();
    }

    /// <summary>Trains on batches made on request.</summary>
    /// <param name="next">Makes the next batch; is given its number, from 0.</param>
    /// <inheritdoc cref="Run(IEnumerable{TBatch}, TrainerOptions, IProgress{TrainingProgress}?, CancellationToken)"/>
    /// <param name="options"/><param name="progress"/><param name="cancellation"/>
    public TrainingResult Run(
        Func<long, TBatch> next, TrainerOptions options, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        IEnumerable<TBatch> Endless()
        {
            for (long number = 0; ; number++) yield return next(number);
        }

        return Run(Endless(), options, progress, cancellation);
    }

    /// <summary>
    /// Trains on batches that arrive asynchronously, for instance from a reader in the background. Cancelling also ends the wait for
    /// one.
    /// </summary>
    /// <inheritdoc cref="Run(IEnumerable{TBatch}, TrainerOptions, IProgress{TrainingProgress}?, CancellationToken)"/>
    public async Task<TrainingResult> RunAsync(
        IAsyncEnumerable<TBatch> batches, TrainerOptions options, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        using var run = new TrainingRun(this, options, progress);
        IAsyncEnumerator<TBatch> source = batches.GetAsyncEnumerator(cancellation);
        await using (source.ConfigureAwait(false))
        {
            try
            {
                while (run.Begin(cancellation))
                {
                    for (int i = 0; i < options.GradientAccumulation; i++)
                        run.Accumulate(await source.MoveNextAsync().ConfigureAwait(false) ? source.Current : throw run.OutOfBatches());
                    run.FinishStep();
                }
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                run.TellCancelled();
                throw;
            }
        }
        return run.Complete();
    }

    /// <summary>
    /// Forgets the graphs of the run under way. Who changes what the model computes in the midst of a run, in a callback, calls it: other active adapters,
    /// other dropout. New values of parameters need nothing.
    /// </summary>
    public void ForgetRecordedSteps() => _run?.Forget();

    /// <summary>The state of one run.</summary>
    private sealed class TrainingRun : IDisposable
    {
        private readonly Trainer<TBatch> _trainer;
        private readonly Optimizer _optimizer;
        private readonly TrainerOptions _options;
        private readonly IProgress<TrainingProgress>? _progress;
        private readonly Stopwatch _watch = Stopwatch.StartNew();
        private readonly List<Readback> _losses = [];
        private readonly StepRecorder? _recorder;
        private readonly Tensor? _recordedLoss;
        private TimeSpan _firstStep;
        private double _loss = double.NaN;
        private long _samples;
        private int _done, _skipped;

        public TrainingRun(Trainer<TBatch> trainer, TrainerOptions options, IProgress<TrainingProgress>? progress)
        {
            options.Validate();
            _trainer = trainer;
            _optimizer = trainer._optimizer;
            _options = options;
            _progress = progress;
            _done = options.StepsDone;
            if (options.UseCudaGraph && trainer.Recordable is { } recordable && _optimizer.Gradients[0].Device is GpuDevice { Driver: not null } gpu)
            {
                _recordedLoss = Tensor.Zeros([], gpu.FloatType, gpu, "loss of a recorded pass").Own();
                _recorder = new StepRecorder(gpu, recordable.Generator);
            }
            trainer._run = this;
        }

        /// <summary>Starts a step; false where there is none left.</summary>
        public bool Begin(CancellationToken cancellation)
        {
            if (_done == _options.Steps) return false;
            cancellation.ThrowIfCancellationRequested();
            _optimizer.ZeroGradients();
            _losses.Clear();
            return true;
        }

        /// <summary>Adds the gradients of one of the step's batches, with its share.</summary>
        public void Accumulate(TBatch batch)
        {
            if (_recorder is null)
            {
                Pass(() => _trainer._loss(batch), loss => _losses.Add(new Readback(loss)));
            }
            else
            {
                RecordableLoss<TBatch> recordable = _trainer.Recordable!;
                _recorder.Run(recordable.Inputs(batch), inputs => Pass(() => recordable.Loss(inputs), _recordedLoss!.CopyFrom));
                _losses.Add(new Readback(_recordedLoss!));
            }
            _samples += _trainer._samples(batch);
        }

        /// <summary>Forward and backward.</summary>
        private void Pass(Func<Tensor> forward, Action<Tensor> take)
        {
            using var tape = new Tape("training step");
            Tensor loss = forward();
            Tensor? share = _options.GradientAccumulation == 1
                ? null
                : Tensor.From([1.0 / _options.GradientAccumulation], loss.Shape, loss.Device, "share of the batch");
            tape.Backward(loss, share);
            take(loss);
        }

        public void FinishStep()
        {
            int step = _done + 1;
            // Asked for before the losses are waited for: one wait for all.
            using Readback normOnItsWay = _optimizer.ReadGradientNorm();
            _loss = _losses.Sum(loss => loss.Values[0]) / _options.GradientAccumulation;
            double norm = normOnItsWay.Values[0];
            _optimizer.LearningRateFactor = _options.Schedule.FactorAt(_done);
            bool finite = double.IsFinite(_loss) && double.IsFinite(norm);
            if (finite) _optimizer.StepAfterNorm(_options.MaxGradientNorm);
            else if (_options.NonFinite == NonFinitePolicy.Skip) _skipped++;
            else throw NonFinite(step, norm);
            _done = step;
            Report(norm, !finite);
        }

        public TrainingResult Complete()
        {
            TrainingResult result = Result();
            foreach (ITrainerCallback callback in _trainer.Callbacks) callback.OnCompleted(result);
            return result;
        }

        public void TellCancelled()
        {
            TrainingResult result = Result();
            foreach (ITrainerCallback callback in _trainer.Callbacks) callback.OnCancelled(result);
        }

        public void Forget() => _recorder?.Forget();

        public void Dispose()
        {
            foreach (Readback loss in _losses) loss.Dispose();
            if (_recorder is not null) _trainer.Recorded = (_recorder.Replayed, [.. _recorder.Obstacles]);
            _recorder?.Dispose();
            _recordedLoss?.Dispose();
            if (_trainer._run == this) _trainer._run = null;
        }

        public InvalidOperationException OutOfBatches() => new($"The batches ran out at step {_done + 1} of {_options.Steps}.");

        private void Report(double norm, bool skipped)
        {
            TimeSpan elapsed = _watch.Elapsed;
            int taken = _done - _options.StepsDone;
            if (taken == 1) _firstStep = elapsed;
            TimeSpan perStep = taken == 1 ? elapsed : (elapsed - _firstStep) / (taken - 1);
            var report = new TrainingProgress(_done, _options.Steps, _loss, _optimizer.LearningRate * _optimizer.LearningRateFactor, norm,
                skipped, _samples, elapsed, perStep * (_options.Steps - _done));
            foreach (ITrainerCallback callback in _trainer.Callbacks) callback.OnStep(report);
            _progress?.Report(report);
        }

        private NonFiniteException NonFinite(int step, double norm)
        {
            string what = FormattableString.Invariant($"the loss is {_loss}");
            if (double.IsFinite(_loss))
            {
                string where = string.Join(", ", _optimizer.NonFiniteGradients().Take(5).DefaultIfEmpty("the sum of their squares"));
                what = FormattableString.Invariant($"the gradient norm is {norm}; not finite: {where}");
            }
            return new NonFiniteException($"Step {step}: {what}. The parameters are as step {step - 1} left them.");
        }

        private TrainingResult Result() => new(_done, _skipped, _loss, _samples, _watch.Elapsed);
    }
}
