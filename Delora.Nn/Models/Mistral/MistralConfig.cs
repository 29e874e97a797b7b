using System.Diagnostics.CodeAnalysis;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The configuration of a <see cref="MistralForCausalLM"/>: <c>config.json</c> with <c>"model_type": "mistral"</c>.</summary>
/// <remarks>Source of the fields and defaults: transformers, <c>MistralConfig</c>.</remarks>
public sealed record MistralConfig : DecoderConfig
{
    /// <summary>The family's <c>model_type</c>.</summary>
    public const string Family = "mistral";

    /// <summary>A configuration with the family's defaults.</summary>
    public MistralConfig()
    {
    }

    [SetsRequiredMembers]
    internal MistralConfig(JsonFields fields, string file, Action<string> warn)
        : base(fields, file, new DecoderDefaults(4096 * 32, 8, null, 1, 2), warn)
    {
        if (fields.Left.ContainsKey("sliding_window")) SlidingWindow = fields.OptionalInteger("sliding_window");
        if (fields.Left.ContainsKey("layer_types")) warn("layer_types has no effect: all layers of a mistral model see the same window.");
    }

    /// <inheritdoc/>
    public override string ModelType => Family;

    /// <inheritdoc/>
    public override string Architecture => "MistralForCausalLM";

    /// <summary><c>sliding_window</c>: how many tokens a token sees in each layer, itself included; null: all before it.</summary>
    public int? SlidingWindow { get; init; } = 4096;

    /// <inheritdoc/>
    public override bool HasQueryKeyValueBias => false;

    /// <inheritdoc/>
    public override int? WindowOf(int layer) => SlidingWindow;

    internal override DecoderForCausalLM Build(Device device, WeightSource weights) => new MistralForCausalLM(this, device, weights);

    private protected override void ValidateOwnFields()
    {
        base.ValidateOwnFields();
        if (SlidingWindow is { } window) RequireSize(window, "sliding_window", int.MaxValue);
    }

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        base.WriteOwnFields(fields);
        fields["head_dim"] = HeadSize;
        fields["sliding_window"] = SlidingWindow;
    }
}
