using Delora.Core;

namespace Delora.Nn;

/// <summary>Qwen2 and Qwen2.5 (Yang et al., arXiv 2407.10671): biases on queries, keys and values; see <see cref="DecoderForCausalLM"/>.</summary>
public sealed class Qwen2ForCausalLM : DecoderForCausalLM
{
    internal Qwen2ForCausalLM(Qwen2Config config, Device device, WeightSource weights) : base(config, device, weights) => Config = config;

    /// <inheritdoc/>
    public override Qwen2Config Config { get; }

    /// <inheritdoc cref="DecoderForCausalLM.New"/>
    public static Qwen2ForCausalLM Create(Qwen2Config config, Device device, Generator generator) =>
        (Qwen2ForCausalLM)New(config, device, generator);
}
