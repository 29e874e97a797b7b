using Delora.Core;

namespace Delora.Nn;

/// <summary>Gemma, the first one (arXiv 2403.08295): GEGLU, norms around 1, scaled embeddings; see <see cref="DecoderForCausalLM"/>.</summary>
public sealed class GemmaForCausalLM : DecoderForCausalLM
{
    internal GemmaForCausalLM(GemmaConfig config, Device device, WeightSource weights) : base(config, device, weights) => Config = config;

    /// <inheritdoc/>
    public override GemmaConfig Config { get; }

    /// <inheritdoc cref="DecoderForCausalLM.New"/>
    public static GemmaForCausalLM Create(GemmaConfig config, Device device, Generator generator) =>
        (GemmaForCausalLM)New(config, device, generator);
}
