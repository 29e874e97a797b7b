using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

// The memory of a run, before it begins.
public abstract partial class FineTuner<TModel, TBatch, TEvaluation>
{
    /// <summary>Goes through a run on a device that only counts, and reports what it counted.</summary>
    /// <param name="device">Where the run would be.</param>
    /// <param name="load">Loads the model.</param>
    /// <param name="tune">Makes the tuner.</param>
    /// <param name="checkpointing">See <see cref="PretrainedModel.Checkpointing"/>.</param>
    private protected static MemoryPlan PlanRun(
        Device device, Func<Device, TModel> load, Func<TModel, FineTuner<TModel, TBatch, TEvaluation>> tune, bool checkpointing)
    {
        using Device twin = Devices.Planning(device);
        using TModel model = load(twin);
        model.Checkpointing = checkpointing;
        using FineTuner<TModel, TBatch, TEvaluation> tuner = tune(model);
        FrozenWeightReport frozen = FrozenWeightReport.Of(model);
        AllocatorStatistics loaded = twin.Memory.Statistics;
        twin.Memory.ResetPeak();
        tuner.Rehearse();
        AllocatorStatistics trained = twin.Memory.Statistics;
        HashSet<Autograd.Parameter> moved = [.. tuner._optimizer.Groups.SelectMany(group => group.Parameters)];
        return new MemoryPlan
        {
            Device = device.Name,
            // Memory of the host is lost to others, and to a control group's limit, also while the allocator keeps it for reuse. A card that has no more
            // makes it give that back, except for what recorded passes will write again.
            CountsReserved = device is not GpuDevice { Kind: not DeviceKind.Simulator }
                || (device is GpuDevice { Driver: not null } && tuner._options.UseCudaGraph),
            ParameterCount = model.Config.ParameterCount,
            TrainedCount = tuner._optimizer.ElementCount,
            Storages = frozen.Storages,
            FrozenBytes = frozen.ByteLength,
            OtherWeightBytes = model.NamedParameters().Select(entry => entry.Parameter).Distinct().Where(parameter => !moved.Contains(parameter))
                .Sum(parameter => parameter.Value.ByteLength),
            TrainedBytes = moved.Sum(parameter => parameter.Value.ByteLength),
            GradientBytes = tuner._optimizer.Gradients.Sum(gradient => gradient.ByteLength),
            OptimizerBytes = tuner._optimizer.State.Sum(entry => entry.Tensor.ByteLength),
            KeptBytes = loaded.BytesInUse,
            PeakBytes = trained.PeakBytesInUse,
            LoadPeakBytes = loaded.PeakBytesInUse,
            ReservedBytes = Math.Max(loaded.PeakBytesReserved, trained.PeakBytesReserved),
        };
    }

    /// <summary>What <see cref="Run"/> does, on the largest batches alone.</summary>
    private void Rehearse()
    {
        if (EvaluationCount is { } evaluated)
        {
            Model.Train(false);
            Evaluate(BatchExtent.Largest(Enumerable.Range(0, evaluated).Chunk(_options.BatchSize), Extents(evaluation: true)), CancellationToken.None);
        }
        _lambda?.Begin();
        Trainer<TBatch> trainer = MakeTrainer(null);
        if (_lambda is not null) trainer.Callbacks.Add(_lambda);
        BatchExtent[] rows = [.. Extents(evaluation: false).Select(extent => extent with { Length = LengthOf(extent.Length) })];
        IReadOnlyList<int[]> batches = BatchExtent.Largest(Batches(), rows);
        // No more batches to a step than there are to look at, but two where gradients are added up.
        int accumulation = Math.Min(_options.GradientAccumulation, Math.Max(2, batches.Count));
        Model.Train();
        trainer.Run(
            number => Take(batches[(int)(number % batches.Count)]),
            new TrainerOptions
            {
                Steps = (batches.Count + accumulation - 1) / accumulation,
                GradientAccumulation = accumulation,
                MaxGradientNorm = _options.MaxGradientNorm,
                NonFinite = _options.NonFinite,
            });
        Model.Train(false);
        if (_options.MeasureBoundsEvery > 0) Peft.BoundReport();
        _optimizer.RequireFiniteParameters(0);
        Peft.RehearseSave();
    }

    /// <summary>The batches of the run, in its order.</summary>
    private IEnumerable<int[]> Batches()
    {
        var order = new ShuffledBatches(RowCount, _options.BatchSize, _options.Seed);
        for (long left = (long)_options.Steps * _options.GradientAccumulation; left > 0; left--) yield return order.Next().ToArray();
    }
}
