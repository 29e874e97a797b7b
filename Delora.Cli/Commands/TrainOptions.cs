using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>What a user can set about <c>delora train</c>.</summary>
internal sealed record TrainOptions
{
    /// <summary>The model's folder as the user wrote it: the adapter names its base model so.</summary>
    public required string Model { get; init; }

    public required string Data { get; init; }

    public string? EvalData { get; init; }

    /// <summary>Folder of adapter and checkpoints, as the user wrote it.</summary>
    public required string Out { get; init; }

    /// <summary>Tokens of a row; null for the usual.</summary>
    public int? Length { get; init; }

    /// <summary>Passes over the data; null where <see cref="Steps"/> says how long, one where neither does.</summary>
    public double? Epochs { get; init; }

    public int? Steps { get; init; }

    /// <summary>A name for <see cref="SelectedDevice.Open"/>.</summary>
    public required string Device { get; init; }

    /// <summary>What matrix products round their operands to.</summary>
    public MatMulPrecision Precision { get; init; }

    /// <summary>How the base model's weights are kept.</summary>
    public FrozenWeightOptions Frozen { get; init; } = FrozenWeightOptions.Default;

    /// <summary>Whether to go on from the newest checkpoint in <see cref="Out"/>.</summary>
    public bool Resume { get; init; }

    /// <summary>Whether layers are computed again on the way back; see <see cref="CausalLanguageModel.Checkpointing"/>.</summary>
    public bool Checkpointing { get; init; }

    /// <summary>Whether names of special tokens in a language model's texts are these tokens.</summary>
    public bool SpecialTokens { get; init; }

    /// <summary>Whether to tell the plan of the run's memory, and to end there.</summary>
    public bool DryRun { get; init; }

    /// <summary>Bytes that the run may take; null for what the device has left.</summary>
    public long? Memory { get; init; }

    /// <summary>All else; its number of steps is not known before the data are.</summary>
    public required FineTuningOptions Tuning { get; init; }
}
