namespace Delora.Nn;

// What happens between the steps of a run.
public abstract partial class FineTuner<TModel, TBatch, TEvaluation>
{
    /// <summary>Evaluates and saves in the course of a run.</summary>
    private sealed class Session(
        FineTuner<TModel, TBatch, TEvaluation> tuner, Trainer<TBatch> trainer, string? output, Dictionary<string, string> settings,
        CancellationToken cancellation) : ITrainerCallback
    {
        private int _saved;

        public bool MustFollow(int step, int totalSteps)
        {
            FineTuningOptions options = tuner._options;
            return step == totalSteps || IsDue(step, options.SaveEvery) || IsDue(step, options.MeasureBoundsEvery) || IsDue(step, options.EvaluateEvery);
        }

        public void OnStep(in TrainingProgress progress)
        {
            bool last = progress.Step == progress.TotalSteps;
            if (last || IsDue(progress.Step, tuner._options.SaveEvery)) Save(progress.Step);
            // A run that is cancelled meanwhile has its checkpoint first.
            int every = tuner._options.MeasureBoundsEvery;
            bool measure = IsDue(progress.Step, every) || (last && every > 0), evaluate = last || IsDue(progress.Step, tuner._options.EvaluateEvery);
            // Whoever is told may change what the model computes, and needs the memory of what is recorded.
            if (measure || evaluate) trainer.ForgetRecordedSteps();
            if (measure) tuner.BoundsMeasured?.Invoke(progress.Step, tuner.Peft.BoundReport());
            if (evaluate) tuner.Evaluate(progress.Step, cancellation);
        }

        public void OnCompleted(TrainingResult result)
        {
            tuner._optimizer.RequireFiniteParameters(result.Steps);
            if (output is not null) tuner.Peft.Save(output);
        }

        public void OnCancelled(TrainingResult result) => Save(result.Steps);

        private static bool IsDue(int step, int every) => every > 0 && step % every == 0;

        private void Save(int step)
        {
            if (output is null || step == 0 || step == _saved) return;
            tuner._optimizer.RequireFiniteParameters(step);
            TrainingCheckpoint.Save(output, step, tuner.Peft, tuner._optimizer, tuner._generator.State, settings, tuner._options.KeepCheckpoints);
            _saved = step;
        }
    }
}
