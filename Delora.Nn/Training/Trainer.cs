using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// The training loop: forward, backward, step, over batches of any kind. Each batch has a tape of its own, so its memory is returned
/// before the next one; after the first step no new memory is asked for. The loss and the norm of the gradients are looked at before the
/// parameters move; on a CUDA card by the card, which then leaves the step out, and the host hears of them while the next step is under way
/// (<see cref="ITrainerCallback.MustFollow"/>).
/// </summary>
/// <remarks>
/// The trainer knows no model: <see cref="Module.Train"/> comes before the run, or dropout does nothing, and a callback that evaluates
/// switches to <c>Train(false)</c> and back. Gradients are zeroed before each step. Callbacks and progress are told on the thread that
/// trains, in no scope: what they compute belongs in a <see cref="TensorScope"/> of their own.
/// </remarks>
/// <typeparam name="TBatch">What the loss function is computed from.</typeparam>
public sealed partial class Trainer<TBatch>
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
        _optimizer = optimizer ?? throw new ArgumentNullException(nameof(optimizer));
        _loss = loss ?? throw new ArgumentNullException(nameof(loss));
        _samples = samples ?? (_ => 1);
    }

    /// <summary>
    /// The loss in two parts; null where it cannot be had so. On a CUDA card the passes of a batch are then recorded and replayed as graphs, as the
    /// optimizer's steps are, where <see cref="TrainerOptions.UseCudaGraph"/> says so.
    /// </summary>
    public RecordableLoss<TBatch>? Recordable { get; init; }

    /// <summary>
    /// Hears, once a run, why something of a step is launched one by one where <see cref="TrainerOptions.UseCudaGraph"/> asks for graphs.
    /// </summary>
    public Action<string>? Warn { get; init; }

    /// <summary>Passes and optimizer steps of the last run that were replayed from a graph, and why others were not.</summary>
    internal RecordedSteps Recorded { get; private set; } = RecordedSteps.None;

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
    /// Forgets the graphs of the run under way and gives their memory to others. Who changes what the model computes in the midst of a run, in a callback,
    /// calls it: other active adapters, other dropout. New values of parameters, and other learning rates or weight decays of the optimizer, need nothing.
    /// </summary>
    public void ForgetRecordedSteps() => _run?.Forget();
}
