using Delora.Nn;

namespace Delora.Cli;

/// <summary>One way to adapt the base network.</summary>
internal enum AdaptationMethod
{
    /// <summary>DeLoRA with the residual initialization.</summary>
    Delora,

    /// <summary>LoRA of the same rank.</summary>
    Lora,

    /// <summary>Every weight of a copy of the network.</summary>
    Full,
}

/// <summary>How one method adapts.</summary>
/// <param name="Method">The method.</param>
/// <param name="LearningRate">AdamW's learning rate at its highest.</param>
/// <param name="Strength">DeLoRA's initial λ, LoRA's α; of no meaning for full fine-tuning.</param>
internal sealed record AdaptationSettings(AdaptationMethod Method, double LearningRate, double Strength = 0)
{
    /// <summary>The name that tables and charts show.</summary>
    public string Name => Method switch
    {
        AdaptationMethod.Delora => "DeLoRA",
        AdaptationMethod.Lora => "LoRA",
        _ => "Full fine-tuning",
    };

    /// <summary>What was chosen for the method, in words.</summary>
    public string Choice => Method switch
    {
        AdaptationMethod.Delora => FormattableString.Invariant($"λ = {Strength:G4}, learning rate {LearningRate:G4}"),
        AdaptationMethod.Lora => FormattableString.Invariant($"α = {Strength:G4}, learning rate {LearningRate:G4}"),
        _ => FormattableString.Invariant($"learning rate {LearningRate:G4}"),
    };

    /// <summary>The adapter that the method trains.</summary>
    /// <param name="rank">Its rank.</param>
    /// <param name="layers">The layers it is attached to.</param>
    public AdapterConfig Config(int rank, ModuleSelector layers) => Method switch
    {
        AdaptationMethod.Delora => new DeloraConfig
        {
            R = rank,
            DeloraLambda = Strength,
            ResidualInitialization = true,
            TargetModules = layers,
        },
        AdaptationMethod.Lora => new LoraConfig
        {
            R = rank,
            LoraAlpha = Strength,
            TargetModules = layers,
        },
        _ => throw new InvalidOperationException($"{Name} trains no adapter."),
    };
}
