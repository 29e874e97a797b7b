using System.Text.Json;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests;

/// <summary>The whole way of a GPT-2 through the command line.</summary>
public sealed class GPT2CommandTests
{
    [Theory, InlineData("c_attn"), InlineData("all-linear")]
    public async Task InspectTrainEvalGenerateAndMerge(string targets)
    {
        using TinyModelFolder tiny = Tiny();
        string text = await CliRun.Succeeds("inspect", tiny.Model);
        Assert.Matches(@"gpt2, [0-9,]+ parameters, vocabulary \d+, context 32", text);
        Assert.Contains("[24, 72]", text, StringComparison.Ordinal);

        string[] chosen = targets == "c_attn" ? [] : ["--targets", targets];
        CliRun train = await CliRun.Of(tiny.Train("adapter", ["--eval-data", tiny.Data, "--steps", "30", .. chosen]));
        Assert.True(train.ExitCode == Delora.Cli.ExitCode.Success, train.Error);
        Assert.Contains("PEFT has no DeLoRA on modules of the kind Conv1D; only Delora will read the saved adapter", train.Error, StringComparison.Ordinal);
        string adapter = tiny.PathOf("adapter");
        using (JsonDocument config = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(adapter, AdapterConfig.FileName))))
            Assert.Equal("Conv1D", Assert.Single(config.RootElement.GetProperty("beyond_peft").EnumerateArray()).GetString());
        string layers = targets == "c_attn" ? "2" : "8";
        Assert.Contains($"adapter parameters in {layers} layers", await CliRun.Succeeds("inspect", adapter), StringComparison.Ordinal);
        await tiny.AdapterHelpsAndMerges(adapter);
    }

    [Fact]
    public async Task MergingPartsATiedOutputLayerAndSaysSo()
    {
        using TinyModelFolder tiny = Tiny();
        string adapter = tiny.SaveAdapter("adapter", new DeloraConfig { R = 2, TargetModules = (string[])["lm_head"] });
        CliRun merge = await CliRun.Of("merge", "--model", tiny.Model, "--adapter", adapter, "--out", tiny.PathOf("merged"));
        Assert.Equal(Delora.Cli.ExitCode.Success, merge.ExitCode);
        Assert.Contains("'lm_head' shares its weight with the embedding (tied embeddings)", merge.Error, StringComparison.Ordinal);
        CliRun apart = await CliRun.Of("eval", "--model", tiny.Model, "--data", tiny.Data, "--adapter", adapter);
        string together = await CliRun.Succeeds("eval", "--model", tiny.PathOf("merged"), "--data", tiny.Data);
        Assert.Equal(CliRun.Loss(apart.Output, "with the adapter"), CliRun.Loss(together, "base"), 1e-4);
        Assert.NotEqual(CliRun.Loss(apart.Output, "base"), CliRun.Loss(together, "base"), 1e-3);
        Assert.Contains("\"tie_word_embeddings\": false", File.ReadAllText(Path.Combine(tiny.PathOf("merged"), "config.json")), StringComparison.Ordinal);
        // The base weight that PEFT keeps beside such an adapter is not counted as the adapter's.
        string text = await CliRun.Succeeds("inspect", adapter);
        using CausalLanguageModel model = CausalLanguageModel.Load(tiny.Model, Devices.Cpu);
        Assert.Contains($" {2 * (24 + model.Config.VocabSize) + 1:N0} adapter parameters in 1 layers and 1 other tensors", text, StringComparison.Ordinal);
    }

    [Theory, InlineData("delora"), InlineData("lora")]
    public async Task AdaptersOnEmbeddingsAreTrainedShownAndMerged(string method)
    {
        using TinyModelFolder tiny = Tiny(TinyGPT2.Config with { TieWordEmbeddings = false });
        CliRun train = await CliRun.Of(tiny.Train("adapter", "--method", method, "--targets", "wte,c_attn", "--steps", "30"));
        Assert.True(train.ExitCode == Delora.Cli.ExitCode.Success, train.Error);
        Assert.Equal(method == "delora", train.Error.Contains("no DeLoRA on modules of the kind Embedding or Conv1D", StringComparison.Ordinal));
        string adapter = tiny.PathOf("adapter");
        string text = await CliRun.Succeeds("inspect", adapter);
        Assert.Contains("transformer.wte", text, StringComparison.Ordinal);
        Assert.Contains("adapter parameters in 3 layers, ", text, StringComparison.Ordinal);
        await tiny.AdapterHelpsAndMerges(adapter);
    }

    [Fact]
    public async Task DropoutOfTheConfigurationIsSaidNotToBeApplied()
    {
        using TinyModelFolder tiny = Tiny(TinyGPT2.Config with { ResidualDropout = 0.1 });
        await CliRun.Succeeds("eval", "--model", tiny.Model, "--data", tiny.Data);
        CliRun train = await CliRun.Of(tiny.Train("out", "--steps", "1"));
        Assert.Equal(Delora.Cli.ExitCode.Success, train.ExitCode);
        Assert.Contains("not applied in training: embd_pdrop 0.0, attn_pdrop 0.0, resid_pdrop 0.1.", train.Error, StringComparison.Ordinal);
    }

    /// <summary>The tiny model's folder with a GPT-2 for its tokenizer in it.</summary>
    private static TinyModelFolder Tiny(GPT2Config? config = null)
    {
        TinyModelFolder tiny = new();
        ModelConfig before = ModelConfig.Load(tiny.Model);
        using GPT2LMHeadModel model = TinyGPT2.Create((config ?? TinyGPT2.Config) with
        {
            VocabSize = before.VocabSize,
            MaxPositionEmbeddings = TinyModelFolder.Context,
            BosTokenId = before.BosTokenId,
            EosTokenIds = before.EosTokenIds,
        });
        model.Save(tiny.Model);
        return tiny;
    }
}
