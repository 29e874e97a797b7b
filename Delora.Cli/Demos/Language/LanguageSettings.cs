using Delora.Nn;

namespace Delora.Cli;

/// <summary>Sizes and lengths of <c>delora demo</c>.</summary>
internal sealed record LanguageSettings
{
    /// <summary>Tokens of the vocabulary.</summary>
    public int VocabularySize { get; init; } = 1024;

    /// <summary>Features of a token between the layers.</summary>
    public int HiddenSize { get; init; } = 128;

    /// <summary>Features inside the feed-forward parts.</summary>
    public int IntermediateSize { get; init; } = 352;

    /// <summary>Layers.</summary>
    public int Layers { get; init; } = 4;

    /// <summary>Query heads.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Heads of keys and values.</summary>
    public int KeyValueHeads { get; init; } = 2;

    /// <summary>The longest sequence, in tokens.</summary>
    public int Context { get; init; } = 128;

    /// <summary>Rows of a batch in training, and in evaluation.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>Steps in which the base learns the old kind.</summary>
    public int BaseSteps { get; init; } = 2200;

    /// <summary>AdamW's learning rate for the base at its highest.</summary>
    public double BaseLearningRate { get; init; } = 4e-3;

    /// <summary>Steps of each adaptation.</summary>
    public int AdaptationSteps { get; init; } = 300;

    /// <summary>Adaptations of each method, each with a seed of its own.</summary>
    public int Seeds { get; init; } = 3;

    /// <summary>Rank of the adapters.</summary>
    public int Rank { get; init; } = 4;

    /// <summary>Steps between two evaluations in the course of an adaptation.</summary>
    public int EvaluateEvery { get; init; } = 50;

    /// <summary>Steps between two looks at ‖ΔW‖.</summary>
    public int WatchEvery { get; init; } = 10;

    /// <summary>Held-out rows of each kind that are evaluated.</summary>
    public int EvaluationRows { get; init; } = 64;

    /// <summary>Gradients are scaled down to this norm.</summary>
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Share of the steps in which the learning rate rises.</summary>
    public double WarmupShare { get; init; } = 0.1;

    /// <summary>Most tokens of a sample.</summary>
    public int SampleTokens { get; init; } = 64;

    /// <summary>The methods.</summary>
    public IReadOnlyList<AdaptationSettings> Methods { get; init; } =
    [
        new(AdaptationMethod.Delora, DemoCommand.DefaultLearningRate, DemoCommand.DefaultLambda),
        new(AdaptationMethod.Lora, 3e-3, 16),
    ];

    /// <summary>How strengths and learning rates were chosen; null where they are others.</summary>
    public string? ChoiceRemark { get; init; } =
        "Strengths and learning rates were chosen with the same effort for each method: eight settings, tried for 200 steps with one seed "
        + "on a base of 1000 steps, trained on four fifths of the training text and scored on the rest, whole operations again; the one "
        + "with the least sum of the losses on the new and on the old kind, a rule that was fixed when two settings of each method had been "
        + "looked at. DeLoRA: λ of 4, 8, 16 with learning rates of 0.01 and 0.03, then, since the best was in a corner, 2 with 0.03 and 4 "
        + "with 0.06. LoRA: α of 4, 8, 16 with 0.003 and 0.01, then 16 with 0.001 and 8 with 0.005.";

    /// <summary>What a user's options ask for.</summary>
    public static LanguageSettings Of(LanguageOptions options)
    {
        LanguageSettings settings = new();
        bool asChosen = (options.Rank, options.Lambda, options.LearningRate, options.TextFile, options.Quick)
            == (settings.Rank, DemoCommand.DefaultLambda, DemoCommand.DefaultLearningRate, null, false);
        settings = settings with
        {
            Rank = options.Rank,
            Seeds = options.Seeds,
            ChoiceRemark = asChosen ? settings.ChoiceRemark : null,
            Methods =
            [
                .. settings.Methods.Select(x => x.Method == AdaptationMethod.Delora
                    ? x with { LearningRate = options.LearningRate, Strength = options.Lambda }
                    : x),
            ],
        };
        return options.Quick
            ? settings with { BaseSteps = 100, AdaptationSteps = 30, EvaluateEvery = 15, EvaluationRows = 16, Seeds = 1 }
            : settings;
    }

    /// <summary>The base model's shape.</summary>
    /// <param name="tokenizer">Its tokenizer; the vocabulary may be smaller than was asked for.</param>
    public LlamaConfig Model(TextTokenizer tokenizer) => new()
    {
        VocabSize = tokenizer.VocabularySize,
        HiddenSize = HiddenSize,
        IntermediateSize = IntermediateSize,
        NumHiddenLayers = Layers,
        NumAttentionHeads = Heads,
        NumKeyValueHeads = KeyValueHeads,
        MaxPositionEmbeddings = Context,
        TieWordEmbeddings = true,
        BosTokenId = tokenizer.BeginId,
        EosTokenIds = tokenizer.EndId is { } end ? [end] : [],
    };

    /// <summary>What the base depends on, the text aside, in words.</summary>
    /// <param name="seed">The user's seed.</param>
    public string BaseRecipe(ulong seed) => FormattableString.Invariant(
        $"1 vocabulary {VocabularySize} hidden {HiddenSize} intermediate {IntermediateSize} layers {Layers} heads {Heads}/{KeyValueHeads} ")
        + FormattableString.Invariant($"context {Context} batch {BatchSize} steps {BaseSteps} rate {BaseLearningRate} ")
        + FormattableString.Invariant($"norm {MaxGradientNorm} warm-up {WarmupShare} seed {seed}");
}
