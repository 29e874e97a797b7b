using System.Diagnostics;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

// The loop itself, whoever gives the batches.
public sealed partial class Trainer<TBatch>
{
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
        private readonly FiniteGate? _gate;
        private readonly IStepPart[] _parts;
        private Taken? _pending;
        private TimeSpan _firstStep;
        private double _loss = double.NaN;
        private long _samples;
        private int _done, _skipped, _step;

        public TrainingRun(Trainer<TBatch> trainer, TrainerOptions options, IProgress<TrainingProgress>? progress)
        {
            options.Validate();
            _trainer = trainer;
            _optimizer = trainer._optimizer;
            _options = options;
            _progress = progress;
            _done = options.StepsDone;
            _parts = [.. trainer.Callbacks.OfType<IStepPart>()];
            if (_optimizer.Gradients[0].Device is GpuDevice { Driver: not null } card)
            {
                if (options.UseCudaGraph) _recorder = new StepRecorder(card, trainer.Recordable?.Generator, trainer.Warn);
                if (_recorder is not null && trainer.Recordable is not null)
                    _recordedLoss = Tensor.Zeros([], card.FloatType, card, "loss of a recorded pass").Own();
                try
                {
                    _gate = new FiniteGate(card);
                }
                catch
                {
                    _recordedLoss?.Dispose();
                    throw;
                }
            }
            trainer._run = this;
        }

        /// <summary>Starts a step; false where there is none left.</summary>
        public bool Begin(CancellationToken cancellation)
        {
            if (_done == _options.Steps) return false;
            cancellation.ThrowIfCancellationRequested();
            _optimizer.ZeroGradients();
            if (_options.NonFinite == NonFinitePolicy.Skip) _gate?.Open();
            return true;
        }

        /// <summary>Adds the gradients of one of the step's batches, with its share.</summary>
        public void Accumulate(TBatch batch)
        {
            if (_recordedLoss is null)
            {
                Pass(() => _trainer._loss(batch), loss =>
                {
                    _gate?.Watch(loss);
                    _losses.Add(new Readback(loss));
                });
            }
            else
            {
                RecordableLoss<TBatch> recordable = _trainer.Recordable!;
                _recorder!.Run(recordable.Inputs(batch), inputs => Pass(() => recordable.Loss(inputs), loss =>
                {
                    _recordedLoss.CopyFrom(loss);
                    _gate?.Watch(_recordedLoss);
                }));
                _losses.Add(new Readback(_recordedLoss));
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
            // Whether the step before was left out says which number this one has. Meanwhile the card computes this step's passes.
            if (_options.NonFinite == NonFinitePolicy.Skip) SettlePending();
            int step = _step = _done + 1;
            _optimizer.LearningRateFactor = _options.Schedule.FactorAt(_done);
            long count = _optimizer.StepCount;
            if (_gate is null)
            {
                _optimizer.MeasureNorm();
                Settle(Take(step, count));
                return;
            }
            // The device leaves the step out where a number is not finite. Meanwhile the step before is looked at.
            _optimizer.CheckStep(_options.MaxGradientNorm);
            Together("norm and step" + Acting(), () =>
            {
                _optimizer.MeasureNorm();
                _gate.Watch(_optimizer.Norm);
                _optimizer.LaunchStep(_options.MaxGradientNorm, _gate.Tensor);
                FollowStep();
            });
            _optimizer.Count(count + 1);
            _done = step;
            Taken? before = _pending;
            _pending = Take(step, count);
            if (before is not null) Settle(before);
            if (_trainer.Callbacks.Any(callback => callback.MustFollow(step, _options.Steps)) || step == _options.Steps) SettlePending();
        }

        /// <summary>The numbers of a step, on their way: one wait for all.</summary>
        private Taken Take(int step, long count)
        {
            var taken = new Taken(
                step, [.. _losses], new Readback(_optimizer.Norm), _optimizer.LearningRate * _optimizer.LearningRateFactor, count, _samples);
            _losses.Clear();
            return taken;
        }

        /// <summary>Looks at the numbers of a step, and tells of it.</summary>
        private void Settle(Taken taken)
        {
            _loss = taken.Losses.Sum(loss => loss.Values[0]) / _options.GradientAccumulation;
            double norm = taken.Norm.Values[0];
            bool finite = double.IsFinite(_loss) && double.IsFinite(norm);
            if (!finite && _options.NonFinite == NonFinitePolicy.Stop)
            {
                // Steps that were asked for since then have been left out, too.
                bool isLast = _gate is null || _pending is null;
                _pending?.Dispose();
                (_pending, _done) = (null, taken.Step - 1);
                _optimizer.Count(taken.StepCount);
                throw NonFinite(taken.Step, norm, isLast);
            }
            if (!finite) _skipped++;
            if (_gate is null)
            {
                if (finite) TakeStep();
                FollowStep();
                _done = taken.Step;
            }
            else if (!finite)
            {
                _optimizer.Count(taken.StepCount);
            }
            Report(taken, norm, !finite);
        }

        private void TakeStep()
        {
            _optimizer.CheckStep(_options.MaxGradientNorm);
            _optimizer.LaunchStep(_options.MaxGradientNorm);
            _optimizer.Count(_optimizer.StepCount + 1);
        }

        /// <summary>What belongs to a step besides the optimizer's: also to one that was left out, where the run goes on.</summary>
        private void FollowStep()
        {
            Tensor? gate = _options.NonFinite == NonFinitePolicy.Stop ? _gate?.Tensor : null;
            foreach (IStepPart part in _parts)
                if (part.ActsAfter(_step)) part.AfterStep(() => _step, gate);
        }

        /// <summary>Names the parts that have something to do behind this step.</summary>
        private string Acting() => string.Concat(_parts.Select((part, i) => part.ActsAfter(_step) ? $" and part {i}" : ""));

        /// <summary>Work that is the same in each step of that name, recorded where it can be.</summary>
        private void Together(string name, Action work)
        {
            if (_recorder is null) work();
            else _recorder.Step(name, work);
        }

        private void SettlePending()
        {
            if (_pending is not { } pending) return;
            _pending = null;
            Settle(pending);
        }

        public TrainingResult Complete()
        {
            SettlePending();
            TrainingResult result = Result();
            foreach (ITrainerCallback callback in _trainer.Callbacks) callback.OnCompleted(result);
            return result;
        }

        public void TellCancelled()
        {
            SettlePending();
            TrainingResult result = Result();
            foreach (ITrainerCallback callback in _trainer.Callbacks) callback.OnCancelled(result);
        }

        public void Forget() => _recorder?.Forget();

        public void Dispose()
        {
            foreach (Readback loss in _losses) loss.Dispose();
            _pending?.Dispose();
            _gate?.Dispose();
            _trainer.Recorded = _recorder is null ? RecordedSteps.None : new(_recorder.Replayed, _recorder.ReplayedSteps, [.. _recorder.Obstacles]);
            _recorder?.Dispose();
            _recordedLoss?.Dispose();
            if (_trainer._run == this) _trainer._run = null;
        }

        public InvalidOperationException OutOfBatches() => new($"The batches ran out at step {_done + 1} of {_options.Steps}.");

        private void Report(Taken taken, double norm, bool skipped)
        {
            TimeSpan elapsed = _watch.Elapsed;
            int count = taken.Step - _options.StepsDone;
            if (count == 1) _firstStep = elapsed;
            TimeSpan perStep = count == 1 ? elapsed : (elapsed - _firstStep) / (count - 1);
            var report = new TrainingProgress(
                taken.Step, _options.Steps, _loss, taken.LearningRate, norm, skipped, taken.Samples, elapsed, perStep * (_options.Steps - taken.Step));
            foreach (ITrainerCallback callback in _trainer.Callbacks) callback.OnStep(report);
            _progress?.Report(report);
        }

        private NonFiniteException NonFinite(int step, double norm, bool gradientsAreThere)
        {
            string what = FormattableString.Invariant($"the loss is {_loss}");
            if (double.IsFinite(_loss))
            {
                what = FormattableString.Invariant($"the gradient norm is {norm}");
                if (gradientsAreThere)
                    what += $"; not finite: {string.Join(", ", _optimizer.NonFiniteGradients().Take(5).DefaultIfEmpty("the sum of their squares"))}";
            }
            return new NonFiniteException($"Step {step}: {what}. The parameters are as step {step - 1} left them.");
        }

        /// <summary>A step whose numbers are on their way.</summary>
        private sealed record Taken(int Step, IReadOnlyList<Readback> Losses, Readback Norm, double LearningRate, long StepCount, long Samples)
            : IDisposable
        {
            public void Dispose()
            {
                foreach (Readback loss in Losses) loss.Dispose();
                Norm.Dispose();
            }
        }

        private TrainingResult Result() => new(_done, _skipped, _loss, _samples, _watch.Elapsed);
    }
}
