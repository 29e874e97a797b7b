using Delora.Core;

namespace Delora.Nn;

/// <summary>Qwen3, the dense models (Yang et al., arXiv 2505.09388): norms of the heads; see <see cref="DecoderForCausalLM"/>.</summary>
public sealed class Qwen3ForCausalLM : DecoderForCausalLM
{
    internal Qwen3ForCausalLM(Qwen3Config config, Device device, WeightSource weights) : base(config, device, weights) => Config = config;

    /// <inheritdoc/>
    public override Qwen3Config Config { get; }

    /// <inheritdoc cref="DecoderForCausalLM.New"/>
    public static Qwen3ForCausalLM Create(Qwen3Config config, Device device, Generator generator) =>
        (Qwen3ForCausalLM)New(config, device, generator);
}
