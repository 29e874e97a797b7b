using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>A model of each decoder family that a test can afford, with what sets the family apart.</summary>
internal static class TinyDecoders
{
    internal static DecoderConfig Mistral { get; } = new MistralConfig
    {
        VocabSize = 37,
        HiddenSize = 24,
        IntermediateSize = 40,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        MaxPositionEmbeddings = 32,
        InitializerRange = 0.2,
        SlidingWindow = 4,
    };

    internal static DecoderConfig Qwen2 { get; } = new Qwen2Config
    {
        VocabSize = 37,
        HiddenSize = 24,
        IntermediateSize = 40,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        MaxPositionEmbeddings = 32,
        InitializerRange = 0.2,
        TieWordEmbeddings = true,
        RopeTheta = 1e6,
    };

    /// <summary>Heads of another size than hidden_size / num_attention_heads.</summary>
    internal static DecoderConfig Qwen3 { get; } = new Qwen3Config
    {
        VocabSize = 37,
        HiddenSize = 24,
        IntermediateSize = 40,
        NumHiddenLayers = 2,
        NumAttentionHeads = 3,
        NumKeyValueHeads = 1,
        HeadDim = 10,
        MaxPositionEmbeddings = 32,
        InitializerRange = 0.2,
        RmsNormEps = 1e-3,
    };

    internal static DecoderConfig Gemma { get; } = new GemmaConfig
    {
        VocabSize = 37,
        HiddenSize = 24,
        IntermediateSize = 40,
        NumHiddenLayers = 2,
        NumAttentionHeads = 3,
        NumKeyValueHeads = 1,
        HeadDim = 12,
        MaxPositionEmbeddings = 32,
        InitializerRange = 0.2,
    };

    /// <summary>By a name that a theory can show.</summary>
    internal static IReadOnlyDictionary<string, DecoderConfig> All { get; } = new Dictionary<string, DecoderConfig>
    {
        ["llama"] = TinyLlama.Config with { AttentionBias = true, MlpBias = true },
        ["llama, yarn"] = TinyLlama.Config with
        {
            RopeScaling = new RopeScaling { Type = RopeType.Yarn, Factor = 4, OriginalMaxPositionEmbeddings = 8, BetaFast = 2 },
        },
        ["gemma"] = Gemma,
        ["mistral"] = Mistral,
        ["qwen2"] = Qwen2,
        ["qwen2, window in the last layer"] = (QwenConfig)Qwen2 with { UseSlidingWindow = true, SlidingWindow = 3, MaxWindowLayers = 1 },
        ["qwen3"] = Qwen3,
        ["qwen3, window in the first layer"] = (Qwen3Config)Qwen3 with
        {
            AttentionBias = true,
            UseSlidingWindow = true,
            SlidingWindow = 2,
            LayerTypes = ["sliding_attention", "full_attention"],
        },
    };

    /// <summary>Theory data: the names of <see cref="All"/>.</summary>
    public static TheoryData<string> Names => [.. All.Keys];

    /// <summary>A model whose biases and norms are as random as its weights.</summary>
    internal static DecoderForCausalLM Create(DecoderConfig config, Device? device = null, bool freeze = true)
    {
        DecoderForCausalLM model = DecoderForCausalLM.New(config, device ?? Devices.Cpu, new Generator(7));
        var random = new Random(11);
        foreach ((string name, ModuleState state) in model.NamedState())
        {
            if (state.Shape.Rank != 1) continue;
            // Around what norms begin with, and around 0 for biases.
            double middle = name.EndsWith("bias", StringComparison.Ordinal) || config is GemmaConfig ? 0 : 1;
            double[] values = [.. Enumerable.Range(0, state.Shape[0]).Select(_ => (double)(float)(middle + random.NextDouble() - 0.5))];
            using Tensor tensor = Tensor.From(values, state.Shape, model.Device);
            state.Write(tensor);
        }
        if (freeze) model.Freeze();
        return model;
    }
}
