namespace Delora.Cli;

/// <summary>What a user can set about <c>delora demo classify</c>.</summary>
internal sealed record ClassifyOptions
{
    /// <summary>A name for <see cref="SelectedDevice.Open"/>.</summary>
    public required string Device { get; init; }

    public required ulong Seed { get; init; }

    /// <summary>Folder for report and adapter, absolute.</summary>
    public required string Out { get; init; }

    /// <summary>Folder with documentation files, absolute; null: those of the .NET SDK.</summary>
    public string? TextFolder { get; init; }

    /// <summary>Fewer steps and a single seed: shows that everything works, not how well.</summary>
    public bool Quick { get; init; }

    /// <summary>Rank of the adapters.</summary>
    public required int Rank { get; init; }

    /// <summary>DeLoRA's initial λ.</summary>
    public required double Lambda { get; init; }

    /// <summary>Learning rate of the DeLoRA adapter.</summary>
    public required double LearningRate { get; init; }
}
