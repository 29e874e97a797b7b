using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Bench.Compare.Gpu;

/// <summary>
/// Training steps of a language model as a <see cref="Trainer{TBatch}"/> takes them: batches are uploaded, the numbers of a step are read back while the next
/// is under way, and on a CUDA card forward and backward are one graph and the optimizer's step another, unless the case says launch by launch.
/// </summary>
internal sealed class GpuStep : GpuWork
{
    private const int CheckedSteps = 5;

    // Of the largest gradient. Some ten factors in a row, of two layers and back, are rounded to 8 bits each, in either direction.
    private const double RoundedTolerance = 10.0 / 256;

    private readonly GpuCase _case;
    private readonly ModelShape _model;
    private readonly bool _useGraph;
    private OwnStep? _step;

    internal GpuStep(GpuCase @case, Device device) : base(device)
    {
        (_case, _model) = (@case, GpuModels.Get(@case.Pass));
        _useGraph = @case.Kind == GpuPlan.Step && device is GpuDevice { Driver: not null };
    }

    internal static FrozenWeightOptions StorageOf(ModelShape model) =>
        model.IsLlama ? new FrozenWeightOptions { Storage = FrozenStorage.BFloat16 } : FrozenWeightOptions.Default;

    internal override Work Work => default;

    internal override long Tokens => (long)_model.Batch * _model.Length;

    internal override double Measure(double seconds)
    {
        (Trainer<TokenBatch> trainer, TokenBatch batch) = _step!.Training();
        using var timer = new TrainingTimer(Device, seconds);
        double milliseconds = timer.Median(trainer, batch, _useGraph);
        RequireGraph(trainer);
        return milliseconds;
    }

    protected override void Prepare()
    {
        using (new PrecisionScope(Device, MatMulPrecision.Float32)) StepRun.Validate(Device);
        if (_case.Precision != MatMulPrecision.Float32) StepRun.Validate(Device, tolerance: RoundedTolerance);
        if (_useGraph) CheckGraph();
        _step = new OwnStep(_model, Device, StorageOf(_model));
    }

    protected override void Run() => _step!.Run();

    protected override void Free() => _step?.Dispose();

    /// <summary>A small model's losses, with a graph and without, are the same to the last bit.</summary>
    private void CheckGraph()
    {
        ModelShape small = GpuModels.Get(_model.IsLlama ? "rehearsal, bf16" : "rehearsal, all weights");
        double[] recorded = Losses(true), launched = Losses(false);
        if (!recorded.SequenceEqual(launched))
            throw new InvalidOperationException(
                $"With a graph the losses are {string.Join(", ", recorded)}, without it {string.Join(", ", launched)}: nothing is timed.");

        double[] Losses(bool useGraph)
        {
            using var step = new OwnStep(small, Device, StorageOf(small));
            (Trainer<TokenBatch> trainer, TokenBatch batch) = step.Training();
            var losses = new LossList();
            trainer.Run(_ => batch, new TrainerOptions { Steps = CheckedSteps, UseCudaGraph = useGraph }, losses);
            if (useGraph) RequireGraph(trainer);
            return [.. losses];
        }
    }

    private void RequireGraph(Trainer<TokenBatch> trainer)
    {
        if (_useGraph && trainer.Recorded.Replayed == 0)
            throw new InvalidOperationException($"No step was replayed as a graph: {string.Join("; ", trainer.Recorded.Obstacles)}");
    }
}

/// <summary>The losses of a run.</summary>
internal sealed class LossList : List<double>, IProgress<TrainingProgress>
{
    public void Report(TrainingProgress value) => Add(value.Loss);
}
