using System.Globalization;
using System.Text.RegularExpressions;
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
        string adapter = tiny.PathOf("adapter"), merged = tiny.PathOf("merged");
        Assert.Equal("CAUSAL_LM", AdapterConfig.Load(Path.Combine(adapter, AdapterConfig.FileName)).TaskType);

        text = await CliRun.Succeeds("eval", "--model", tiny.Model, "--data", tiny.Data, "--adapter", adapter);
        Assert.True(Loss(text, "with the adapter") < Loss(text, "base") - 0.05, text);
        await CliRun.Succeeds("merge", "--model", tiny.Model, "--adapter", adapter, "--out", merged);
        string together = await CliRun.Succeeds("eval", "--model", merged, "--data", tiny.Data);
        Assert.Equal(Loss(text, "with the adapter"), Loss(together, "base"), 1e-4);
        Assert.Equal(ModelConfig.Load(tiny.Model).ToJson(), ModelConfig.Load(merged).ToJson());

        // Longer than the window, so that it slides over the cache.
        string[] generate = ["generate", "--prompt", "the cat", "--greedy", "--max-tokens", "16", "--device", "cpu", "--model"];
        string expected = await CliRun.Succeeds([.. generate, tiny.Model, "--adapter", adapter]);
        Assert.Equal(expected, await CliRun.Succeeds([.. generate, merged]));
        Assert.Equal(expected, Greedy(merged, "the cat", 16) + Environment.NewLine);
    }

    private static double Loss(string output, string name) =>
        double.Parse(Regex.Match(output, $@"(?m)^{name}: loss ([0-9.]+)").Groups[1].Value, CultureInfo.InvariantCulture);

    /// <summary>The most likely token each time, from the whole text and without a cache.</summary>
    private static string Greedy(string folder, string prompt, int count)
    {
        TextTokenizer tokenizer = TextTokenizer.Load(folder);
        using CausalLanguageModel model = CausalLanguageModel.Load(folder, Devices.Cpu);
        List<int> ids = [.. tokenizer.Encode(prompt, addBegin: tokenizer.AddsBegin)];
        int start = ids.Count;
        while (ids.Count < start + count && (ids.Count == start || !model.Config.EosTokenIds.Contains(ids[^1])))
        {
            using var scope = new TensorScope("test");
            float[] last = model.Forward(Tensor.From(ids.ToArray(), [1, ids.Count], Devices.Cpu)).ToArray<float>()[^model.Config.VocabSize..];
            ids.Add(Array.IndexOf(last, last.Max()));
        }
        return tokenizer.Decode([.. ids.Skip(start).Where(id => !model.Config.EosTokenIds.Contains(id))]);
    }
}
