using System.Diagnostics.CodeAnalysis;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The configuration of a <see cref="Qwen3ForCausalLM"/>: <c>config.json</c> with <c>"model_type": "qwen3"</c>.</summary>
/// <remarks>Source of the fields and defaults: transformers, <c>Qwen3Config</c>.</remarks>
public sealed record Qwen3Config : QwenConfig
{
    /// <summary>The family's <c>model_type</c>.</summary>
    public const string Family = "qwen3";

    private const int UsualHeadDim = 128;

    /// <summary>A configuration with the family's defaults; head_dim is 128 whatever the hidden size.</summary>
    public Qwen3Config() => HeadDim = UsualHeadDim;

    [SetsRequiredMembers]
    internal Qwen3Config(JsonFields fields, string file, Action<string> warn) : base(fields, file, UsualHeadDim, warn) =>
        AttentionBias = fields.Flag("attention_bias", false);

    /// <inheritdoc/>
    public override string ModelType => Family;

    /// <inheritdoc/>
    public override string Architecture => "Qwen3ForCausalLM";

    /// <summary><c>attention_bias</c>: biases on the four projections of the attention.</summary>
    public bool AttentionBias { get; init; }

    /// <inheritdoc/>
    public override bool HasQueryKeyValueBias => AttentionBias;

    /// <inheritdoc/>
    public override bool HasOutputBias => AttentionBias;

    /// <inheritdoc/>
    public override bool HasHeadNorms => true;

    internal override DecoderForCausalLM Build(Device device, WeightSource weights) => new Qwen3ForCausalLM(this, device, weights);

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        base.WriteOwnFields(fields);
        fields["head_dim"] = HeadSize;
        fields["attention_bias"] = AttentionBias;
    }
}
