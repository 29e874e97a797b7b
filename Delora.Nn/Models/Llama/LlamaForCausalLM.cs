using Delora.Core;

namespace Delora.Nn;

/// <summary>Llama (Touvron et al., arXiv 2302.13971, and its successors); see <see cref="DecoderForCausalLM"/>.</summary>
public sealed class LlamaForCausalLM : DecoderForCausalLM
{
    internal LlamaForCausalLM(LlamaConfig config, Device device, WeightSource weights) : base(config, device, weights) => Config = config;

    /// <inheritdoc/>
    public override LlamaConfig Config { get; }

    /// <inheritdoc cref="DecoderForCausalLM.New"/>
    public static LlamaForCausalLM Create(LlamaConfig config, Device device, Generator generator) =>
        (LlamaForCausalLM)New(config, device, generator);
}
