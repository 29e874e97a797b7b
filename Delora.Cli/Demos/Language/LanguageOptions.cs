namespace Delora.Cli;

/// <summary>What a user can set about <c>delora demo</c>.</summary>
internal sealed record LanguageOptions
{
    /// <summary>A name for <see cref="SelectedDevice.Open"/>.</summary>
    public required string Device { get; init; }

    public required ulong Seed { get; init; }

    /// <summary>Adaptations of each method.</summary>
    public required int Seeds { get; init; }

    /// <summary>Folder for base, adapters and report, absolute.</summary>
    public required string Out { get; init; }

    /// <summary>A text file, absolute; null: the documentation of the .NET SDK.</summary>
    public string? TextFile { get; init; }

    /// <summary>Fewer steps and a single seed: shows that everything works, not how well.</summary>
    public bool Quick { get; init; }

    /// <summary>Trains the base anew, even where one is kept.</summary>
    public bool Retrain { get; init; }

    /// <summary>Rank of the adapters.</summary>
    public required int Rank { get; init; }

    /// <summary>DeLoRA's initial λ.</summary>
    public required double Lambda { get; init; }

    /// <summary>Learning rate of the DeLoRA adapter.</summary>
    public required double LearningRate { get; init; }
}
