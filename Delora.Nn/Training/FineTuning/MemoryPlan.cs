namespace Delora.Nn;

/// <summary>
/// The memory of a training run on its device, known before it begins (<see cref="FineTuner.Plan"/>, <see cref="ClassifierTuner.Plan"/>). All sizes are
/// bytes. The peak is the one that <see cref="Core.AllocatorStatistics.PeakBytesInUse"/> has after the run: the code that would run has been run on a
/// device that only counts.
/// </summary>
/// <remarks>
/// Tensors alone are counted: not the program itself, its data, or on a card what the driver takes. Of a run of very many different batches the largest
/// are looked at. Where a 16-bit storage turns out to lose nothing of the numbers of a file of another type, a run takes less by the norms of columns
/// that it need not keep, 4 bytes for each input of a linear layer.
/// </remarks>
public sealed record MemoryPlan
{
    /// <summary>The device's name.</summary>
    public required string Device { get; init; }

    /// <summary>Numbers of the model, adapters not included.</summary>
    public required long ParameterCount { get; init; }

    /// <summary>Numbers that are trained.</summary>
    public required long TrainedCount { get; init; }

    /// <summary>Storages of the frozen linear layers: <c>nf4 × 14</c>.</summary>
    public required string Storages { get; init; }

    /// <summary>Frozen linear layers, in their storage.</summary>
    public required long FrozenBytes { get; init; }

    /// <summary>Other weights that are not trained: embeddings of their own, norms, biases.</summary>
    public required long OtherWeightBytes { get; init; }

    /// <summary>The adapter, and what is trained beside it.</summary>
    public required long TrainedBytes { get; init; }

    /// <summary>Gradients of what is trained.</summary>
    public required long GradientBytes { get; init; }

    /// <summary>The optimizer's memory.</summary>
    public required long OptimizerBytes { get; init; }

    /// <summary>All that stays between two steps, in blocks of the allocator.</summary>
    public required long KeptBytes { get; init; }

    /// <summary>Tables, column norms, and what blocks are larger than their tensors: the rest of <see cref="KeptBytes"/>.</summary>
    public long RoundingBytes => KeptBytes - FrozenBytes - OtherWeightBytes - TrainedBytes - GradientBytes - OptimizerBytes;

    /// <summary>What a step, an evaluation or saving adds to <see cref="KeptBytes"/>: activations, their gradients, working memory of kernels.</summary>
    public long ActivationBytes => PeakBytes - KeptBytes;

    /// <summary>The most that is in use at once during the run.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>The most that is in use at once until the run begins: a weight is there in float32 while it is prepared.</summary>
    public required long LoadPeakBytes { get; init; }

    /// <summary>The most that the allocator has of the device at once, blocks that it keeps for reuse included.</summary>
    public required long ReservedBytes { get; init; }

    /// <summary>
    /// Whether blocks that are kept for reuse count against the device's memory: on the host, and on a CUDA card whose graphs will write them again.
    /// </summary>
    public required bool CountsReserved { get; init; }

    /// <summary>What the device must have.</summary>
    public long RequiredBytes => CountsReserved ? ReservedBytes : Math.Max(PeakBytes, LoadPeakBytes);
}
