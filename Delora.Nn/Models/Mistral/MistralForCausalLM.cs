using Delora.Core;

namespace Delora.Nn;

/// <summary>Mistral (Jiang et al., arXiv 2310.06825): Llama with a sliding window; see <see cref="DecoderForCausalLM"/>.</summary>
public sealed class MistralForCausalLM : DecoderForCausalLM
{
    internal MistralForCausalLM(MistralConfig config, Device device, WeightSource weights) : base(config, device, weights) => Config = config;

    /// <inheritdoc/>
    public override MistralConfig Config { get; }

    /// <inheritdoc cref="DecoderForCausalLM.New"/>
    public static MistralForCausalLM Create(MistralConfig config, Device device, Generator generator) =>
        (MistralForCausalLM)New(config, device, generator);
}
