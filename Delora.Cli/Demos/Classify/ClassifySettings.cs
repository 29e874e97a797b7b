namespace Delora.Cli;

/// <summary>Sizes and lengths of <c>demo classify</c>.</summary>
internal sealed record ClassifySettings
{
    /// <summary>Rows of the embedding table.</summary>
    public int Buckets { get; init; } = 1 << 14;

    /// <summary>Columns of the embedding table.</summary>
    public int EmbeddingDim { get; init; } = 128;

    /// <summary>Features of the hidden layers.</summary>
    public int HiddenDim { get; init; } = 256;

    /// <summary>Texts in a batch.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Steps in which the base network learns the old families.</summary>
    public int BaseSteps { get; init; } = 2000;

    /// <summary>AdamW's learning rate for the base network at its highest.</summary>
    public double BaseLearningRate { get; init; } = 3e-3;

    /// <summary>Steps of each adaptation.</summary>
    public int AdaptationSteps { get; init; } = 1000;

    /// <summary>Adaptations of each method, each with a seed of its own.</summary>
    public int Seeds { get; init; } = 3;

    /// <summary>Rank of the adapters.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Steps between two evaluations in the course of an adaptation.</summary>
    public int EvaluateEvery { get; init; } = 25;

    /// <summary>Steps between two looks at ‖ΔW‖.</summary>
    public int WatchEvery { get; init; } = 10;

    /// <summary>Gradients are scaled down to this norm.</summary>
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Share of the steps in which the learning rate rises.</summary>
    public double WarmupShare { get; init; } = 0.1;

    /// <summary>The methods.</summary>
    public IReadOnlyList<AdaptationSettings> Methods { get; init; } =
    [
        new(AdaptationMethod.Delora, DemoCommand.ClassifyLearningRate, DemoCommand.ClassifyLambda),
        new(AdaptationMethod.Lora, 4e-3, 2),
        new(AdaptationMethod.Full, 1.5e-4),
    ];

    /// <summary>How strengths and learning rates were chosen; null where they are others.</summary>
    public string? ChoiceRemark { get; init; } =
        "Strengths and learning rates were chosen with the same effort for each method: twelve settings, tried with one seed on seven "
        + "eighths of the training text and scored on the rest; of those that came to 60 % on the new families, the one that kept most of "
        + "the old. Where more is won, more is forgotten, with every method. "
        + "DeLoRA: λ of 2, 4, 8, 16 with learning rates of 0.003, 0.01, 0.03. LoRA: α of 2, 8, 32 with 0.0005, 0.001, 0.002, 0.004. "
        + "Full fine-tuning: twelve learning rates from 0.00003 to 0.004.";

    /// <summary>What a user's options ask for.</summary>
    public static ClassifySettings Of(ClassifyOptions options)
    {
        ClassifySettings settings = new();
        bool asChosen = (options.Rank, options.Lambda, options.LearningRate)
            == (settings.Rank, DemoCommand.ClassifyLambda, DemoCommand.ClassifyLearningRate);
        settings = settings with
        {
            Rank = options.Rank,
            ChoiceRemark = asChosen && !options.Quick ? settings.ChoiceRemark : null,
            Methods =
            [
                .. settings.Methods.Select(x => x.Method == AdaptationMethod.Delora
                    ? x with { LearningRate = options.LearningRate, Strength = options.Lambda }
                    : x),
            ],
        };
        return options.Quick
            ? settings with { BaseSteps = 250, AdaptationSteps = 150, EvaluateEvery = 50, Seeds = 1 }
            : settings;
    }
}
