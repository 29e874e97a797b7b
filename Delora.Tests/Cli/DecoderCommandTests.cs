using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests;

/// <summary>The whole way of a model of another family than Llama through the command line.</summary>
public sealed class DecoderCommandTests
{
    public static TheoryData<string> Families => ["gemma", "mistral", "qwen2, window in the last layer", "qwen3"];

    [Theory, MemberData(nameof(Families))]
    public async Task InspectTrainEvalGenerateAndMerge(string name)
    {
        DecoderConfig family = TinyDecoders.All[name];
        using TinyModelFolder tiny = new(family);
        string text = await CliRun.Succeeds("inspect", tiny.Model);
        Assert.Matches($@"{family.ModelType}, [0-9,]+ parameters, vocabulary \d+, context 32", text);
        Assert.Contains($"[{family.NumAttentionHeads * family.HeadSize}, 24]", text, StringComparison.Ordinal);

        text = await CliRun.Succeeds(tiny.Train("adapter", "--targets", "all-linear", "--eval-data", tiny.Data, "--steps", "20"));
        Assert.Contains($", {family.ModelType}, ", text, StringComparison.Ordinal);
        string adapter = tiny.PathOf("adapter");
        Assert.Equal("CAUSAL_LM", AdapterConfig.Load(Path.Combine(adapter, AdapterConfig.FileName)).TaskType);
        await tiny.AdapterHelpsAndMerges(adapter);
    }
}
