using System.Collections.Immutable;
using System.Text.Json;

namespace Delora.Nn;

/// <summary>
/// Configuration of a LoRA adapter: <c>ΔW = (α/r) B A</c>, or <c>(α/√r) B A</c> with <see cref="UseRslora"/>. Variants of PEFT's LoRA
/// that compute
/// something else (DoRA and others) are refused by name.
/// </summary>
/// <remarks>Method: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021. Fields: PEFT's <c>LoraConfig</c>.</remarks>
public sealed record LoraConfig : AdapterConfig
{
    /// <summary>The method's <c>peft_type</c>.</summary>
    public const string Method = "LORA";

    /// <summary>Switches of PEFT's LoRA that change what an adapter computes.</summary>
    private static readonly string[] s_otherComputations =
    [
        "alora_invocation_tokens", "arrow_config", "ensure_weight_tying", "kasa_config", "layer_replication", "lora_bias", "monteclora_config",
        "target_parameters", "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora", "velora_config",
    ];

    /// <summary>
    /// Fields of PEFT's LoRA that do not change what a saved adapter computes: kept without a word. <c>fan_in_fan_out</c> says how the base
    /// model stores a weight, which the model knows better; PEFT corrects it by the kind of layer too.
    /// </summary>
    private static readonly string[] s_withoutEffect =
    [
        "corda_config", "eva_config", "fan_in_fan_out", "loftq_config", "lora_ga_config", "megatron_config",
        "megatron_core", "qalora_group_size",
    ];

    /// <summary>
    /// Initializations that leave the base weights as they are; the others rewrite them, and the saved adapter belongs to the rewritten
    /// ones.
    /// </summary>
    private static readonly string[] s_harmlessInitializations = ["gaussian", "eva", "orthogonal"];

    /// <inheritdoc/>
    public override string PeftType => Method;

    /// <summary><c>lora_alpha</c>: the scaling is α/r.</summary>
    public double LoraAlpha { get; init; } = 8;

    /// <summary>
    /// <c>lora_dropout</c>: probability that an element of the low-rank branch's input is dropped in training, in [0, 1).
    /// </summary>
    public double LoraDropout { get; init; }

    /// <summary><c>alpha_pattern</c>: α of single modules, with keys as those of <see cref="AdapterConfig.RankPattern"/>.</summary>
    public ImmutableArray<KeyValuePair<string, double>> AlphaPattern { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary><c>use_rslora</c>: the scaling is α/√r.</summary>
    public bool UseRslora { get; init; }

    /// <inheritdoc/>
    public bool Equals(LoraConfig? other) => base.Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => base.GetHashCode();

    internal override double Strength => LoraAlpha;

    internal override double Dropout => LoraDropout;

    internal override ImmutableArray<KeyValuePair<string, double>> StrengthPattern => AlphaPattern;

    internal override string StrengthPatternField => "alpha_pattern";

    private protected override string AdapterOnlyText => "lora_only";

    private protected override string InitWeightsField => "init_lora_weights";

    private protected override void ValidateOwnFields(PeftCompatibility compatibility)
    {
        RequireFinite(LoraAlpha, "lora_alpha");
        RequireDropout("lora_dropout", compatibility);
    }

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        fields["lora_alpha"] = WholeOrFloat(LoraAlpha);
        fields["lora_dropout"] = LoraDropout;
        fields["use_rslora"] = UseRslora;
    }

    private protected override AdapterConfig ReadOwnFields(FieldReader reader, Action<string> warn)
    {
        JsonFields fields = reader.Fields;
        var kept = AdditionalFields.ToBuilder();
        foreach (string field in s_otherComputations)
            if (fields.Left.TryGetValue(field, out JsonElement value))
            {
                if (!IsOff(value))
                    throw fields.Wrong(field,
                        $"{JsonFields.Describe(value)} is not supported: such an adapter computes more than plain LoRA.");
                kept.Add(field, value);
                fields.TryTake(field, out _);
            }
        foreach (string field in s_withoutEffect)
            if (fields.Left.TryGetValue(field, out JsonElement value))
            {
                kept.Add(field, value);
                fields.TryTake(field, out _);
            }
        return this with
        {
            LoraAlpha = reader.Number("lora_alpha", LoraAlpha),
            LoraDropout = reader.Number("lora_dropout", LoraDropout),
            AlphaPattern = reader.NumberPattern(StrengthPatternField),
            UseRslora = reader.Flag("use_rslora", UseRslora),
            InitWeights = ReadInitialization(fields, warn),
            AdditionalFields = kept.ToImmutable(),
        };
    }

    private bool ReadInitialization(JsonFields fields, Action<string> warn)
    {
        if (!fields.Left.TryGetValue(InitWeightsField, out JsonElement value) || value.ValueKind != JsonValueKind.String)
            return fields.Flag(InitWeightsField, InitWeights);
        string name = fields.Text(InitWeightsField, "");
        if (!s_harmlessInitializations.Contains(name))
            throw fields.Wrong(InitWeightsField,
                $"'{name}' is not supported: it rewrites the base weights. Convert the adapter with PEFT's save_pretrained first.");
        warn($"{InitWeightsField} '{name}' is taken as true: it concerns only the start of a training run.");
        return true;
    }

    private static bool IsOff(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => value.GetPropertyCount() == 0,
        _ => false,
    };
}
