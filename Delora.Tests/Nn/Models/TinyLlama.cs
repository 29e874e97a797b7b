using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>A Llama that a test can afford.</summary>
internal static class TinyLlama
{
    internal static LlamaConfig Config { get; } = new()
    {
        VocabSize = 37,
        HiddenSize = 24,
        IntermediateSize = 40,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        MaxPositionEmbeddings = 32,
        InitializerRange = 0.2,
        BosTokenId = 1,
        EosTokenIds = [2],
    };

    internal static LlamaForCausalLM Create(LlamaConfig? config = null, Device? device = null, bool freeze = true)
    {
        LlamaForCausalLM model = LlamaForCausalLM.Create(config ?? Config, device ?? Devices.Cpu, new Generator(7));
        if (freeze) model.Freeze();
        return model;
    }

    internal static Tensor Ids(Shape shape, Device device, int seed = 3)
    {
        var random = new Random(seed);
        return Tensor.From([.. Enumerable.Range(0, checked((int)shape.ElementCount)).Select(_ => random.Next(Config.VocabSize))], shape, device, "ids");
    }
}
