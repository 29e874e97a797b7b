using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>A GPT-2 that a test can afford.</summary>
internal static class TinyGPT2
{
    internal static GPT2Config Config { get; } = new()
    {
        VocabSize = 37,
        HiddenSize = 24,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        InnerSize = 40,
        MaxPositionEmbeddings = 32,
        InitializerRange = 0.2,
        EmbeddingDropout = 0,
        AttentionDropout = 0,
        ResidualDropout = 0,
        BosTokenId = 1,
        EosTokenIds = [2],
    };

    internal static GPT2LMHeadModel Create(GPT2Config? config = null, Device? device = null, bool freeze = true)
    {
        GPT2LMHeadModel model = GPT2LMHeadModel.Create(config ?? Config, device ?? Devices.Cpu, new Generator(7));
        // Biases and norms as they start would hide that they are used.
        using (var scope = new TensorScope("random vectors"))
            foreach (((string name, ModuleState state), int i) in model.NamedState().Select((entry, i) => (entry, i)))
                if (state.Shape.Rank == 1)
                    state.Write(Tensor.From(
                        [.. Ops.OpTesting.Numbers(state.Shape[0], i, 0.3).Select(x => x + (name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0))],
                        state.Shape, model.Device, name));
        if (freeze) model.Freeze();
        return model;
    }
}
