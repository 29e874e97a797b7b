using System.Collections.Immutable;

namespace Delora.Nn;

/// <summary>What kind of module a name stands for, as far as adapters care.</summary>
public enum ModuleKind
{
    /// <summary>A container, a norm, an activation: nothing that an adapter can sit on.</summary>
    Other,

    /// <summary>A linear layer, weight <c>[out, in]</c>.</summary>
    Linear,

    /// <summary>A linear layer with its weight stored transposed, <c>[in, out]</c> (GPT-2's <c>Conv1D</c>).</summary>
    Conv1D,

    /// <summary>A table of embeddings, weight <c>[vocabulary, dim]</c>.</summary>
    Embedding,
}

/// <summary>A module of a model, as the choice of targets sees it.</summary>
/// <param name="Name">Its full name, for instance <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Kind">What it is.</param>
public readonly record struct NamedModuleKind(string Name, ModuleKind Kind);

/// <summary>One module that gets an adapter.</summary>
/// <param name="Name">Its full name.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Rank">The adapter's rank there.</param>
/// <param name="Strength">λ of DeLoRA, α of LoRA.</param>
public sealed record AdapterTarget(string Name, ModuleKind Kind, int Rank, double Strength);

/// <summary>What a configuration comes to in a model.</summary>
/// <param name="Config">The configuration, with the heads that its task trains, and its targets as a list or a regular expression.</param>
/// <param name="Targets">The modules that get an adapter, in the model's order.</param>
/// <param name="ModulesToSave">The modules that are trained and saved as a whole, in the model's order.</param>
public sealed record ResolvedTargets(AdapterConfig Config, IReadOnlyList<AdapterTarget> Targets, IReadOnlyList<string> ModulesToSave);

/// <summary>What the choice of targets must know about the model beside its modules.</summary>
public sealed record TargetOptions
{
    /// <summary>
    /// What <c>target_modules: null</c> means for this family of models; null where the family has no default. PEFT's default of
    /// <see cref="ModelType"/> where nothing else is said.
    /// </summary>
    public ModuleSelector? DefaultTargets
    {
        get => field ?? PeftDefaultTargets.Of(ModelType);
        init;
    }

    /// <summary><c>model_type</c> of the model's <c>config.json</c>; null where there is none. See <see cref="PeftDefaultTargets"/>.</summary>
    public string? ModelType { get; init; }

    /// <summary>
    /// Strict adapts what PEFT adapts: linear layers alone, whatever <see cref="Adaptable"/> says, and <c>modules_to_save</c> by the end of a name
    /// without its dot.
    /// </summary>
    public PeftCompatibility Compatibility { get; init; }

    /// <summary>The module that makes the output logits of a language model; <c>all-linear</c> leaves it out.</summary>
    public string? OutputModule { get; init; }

    /// <summary>
    /// Names of a classifier's head, first match: <c>all-linear</c> leaves it out for <c>task_type</c> SEQ_CLS where there is no
    /// <see cref="OutputModule"/>.
    /// PEFT does so for models of the transformers library.
    /// </summary>
    public ImmutableArray<string> ClassificationHeads { get; init; } = ["score", "classifier"];

    /// <summary>The kinds that the adapter can sit on.</summary>
    public ImmutableArray<ModuleKind> Adaptable { get; init; } = [ModuleKind.Linear];

    /// <summary>Hears of names that match nothing.</summary>
    public Action<string>? Warn { get; init; }
}
