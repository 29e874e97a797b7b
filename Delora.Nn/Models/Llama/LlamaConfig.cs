using System.Diagnostics.CodeAnalysis;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The configuration of a <see cref="LlamaForCausalLM"/>: <c>config.json</c> with <c>"model_type": "llama"</c>.</summary>
/// <remarks>Source of the fields and defaults: transformers, <c>LlamaConfig</c>.</remarks>
public sealed record LlamaConfig : DecoderConfig
{
    /// <summary>The family's <c>model_type</c>.</summary>
    public const string Family = "llama";

    /// <summary>A configuration with the family's defaults.</summary>
    public LlamaConfig()
    {
    }

    [SetsRequiredMembers]
    internal LlamaConfig(JsonFields fields, string file, Action<string> warn)
        : base(fields, file, new DecoderDefaults(2048, null, null, 1, 2), warn)
    {
        AttentionBias = fields.Flag("attention_bias", false);
        MlpBias = fields.Flag("mlp_bias", false);
    }

    /// <inheritdoc/>
    public override string ModelType => Family;

    /// <inheritdoc/>
    public override string Architecture => "LlamaForCausalLM";

    /// <summary><c>attention_bias</c>: biases on the four projections of the attention.</summary>
    public bool AttentionBias { get; init; }

    /// <summary><c>mlp_bias</c>: biases in the feed-forward part.</summary>
    public bool MlpBias { get; init; }

    /// <inheritdoc/>
    public override bool HasQueryKeyValueBias => AttentionBias;

    /// <inheritdoc/>
    public override bool HasOutputBias => AttentionBias;

    /// <inheritdoc/>
    public override bool HasMlpBias => MlpBias;

    internal override DecoderForCausalLM Build(Device device, WeightSource weights) => new LlamaForCausalLM(this, device, weights);

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        base.WriteOwnFields(fields);
        fields["head_dim"] = HeadSize;
        fields["attention_bias"] = AttentionBias;
        fields["mlp_bias"] = MlpBias;
    }
}
