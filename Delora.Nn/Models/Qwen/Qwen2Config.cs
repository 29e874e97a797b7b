using System.Diagnostics.CodeAnalysis;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The configuration of a <see cref="Qwen2ForCausalLM"/>: <c>config.json</c> with <c>"model_type": "qwen2"</c>.</summary>
/// <remarks>Source of the fields and defaults: transformers, <c>Qwen2Config</c>.</remarks>
public sealed record Qwen2Config : QwenConfig
{
    /// <summary>The family's <c>model_type</c>.</summary>
    public const string Family = "qwen2";

    /// <summary>A configuration with the family's defaults.</summary>
    public Qwen2Config()
    {
    }

    [SetsRequiredMembers]
    internal Qwen2Config(JsonFields fields, string file, Action<string> warn) : base(fields, file, null, warn)
    {
    }

    /// <inheritdoc/>
    public override string ModelType => Family;

    /// <inheritdoc/>
    public override string Architecture => "Qwen2ForCausalLM";

    /// <inheritdoc/>
    public override bool HasQueryKeyValueBias => true;

    internal override DecoderForCausalLM Build(Device device, WeightSource weights) => new Qwen2ForCausalLM(this, device, weights);
}
