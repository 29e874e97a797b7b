using System.Globalization;
using System.Text.RegularExpressions;
using Delora.Cli;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests;

public sealed class MergeCommandTests
{
    public static TheoryData<AdapterConfig> Adapters =>
    [
        new DeloraConfig { R = 3, TargetModules = ModuleSelector.AllLinear },
        new LoraConfig { R = 3, LoraAlpha = 4, TargetModules = ModuleSelector.Of("q_proj", "down_proj", "lm_head") },
        new DeloraConfig { R = 2, ModulesToSave = ["lm_head"] },
    ];

    [Theory]
    [MemberData(nameof(Adapters))]
    public async Task AMergedFolderComputesWhatModelAndAdapterCompute(AdapterConfig config)
    {
        using TinyModelFolder tiny = new();
        string adapter = tiny.SaveAdapter("adapter", config), output = tiny.PathOf("merged");
        string generation = "{\"eos_token_id\": 3}";
        File.WriteAllText(Path.Combine(tiny.Model, "generation_config.json"), generation);
        string[] arguments = ["merge", "--model", tiny.Model, "--adapter", adapter, "--out", output];
        Assert.Contains($"Merged model: {output}", await CliRun.Succeeds(arguments), StringComparison.Ordinal);
        (float[] together, float[] merged, float[] alone) = (Logits(tiny.Model, adapter), Logits(output, null), Logits(tiny.Model, null));
        Assert.All(together.Zip(merged), pair => Assert.Equal(pair.First, pair.Second, 1e-5f * Math.Max(1, Math.Abs(pair.First))));
        Assert.Contains(together.Zip(alone), pair => Math.Abs(pair.First - pair.Second) > 0.01);
        foreach (string name in (string[])["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
            Assert.Equal(File.ReadAllBytes(Path.Combine(tiny.Model, name)), File.ReadAllBytes(Path.Combine(output, name)));

        // What it wrote before, it may write again; and what the source no longer has goes.
        File.Delete(Path.Combine(tiny.Model, "generation_config.json"));
        await CliRun.Succeeds(arguments);
        Assert.False(File.Exists(Path.Combine(output, "generation_config.json")));
    }

    [Fact]
    public async Task EvalShowsTheSameLossForTheMergedFolder()
    {
        using TinyModelFolder tiny = new();
        string adapter = tiny.SaveAdapter("adapter", new DeloraConfig { R = 3, TargetModules = ModuleSelector.AllLinear });
        await CliRun.Succeeds("merge", "--model", tiny.Model, "--adapter", adapter, "--out", tiny.PathOf("merged"));
        string both = await CliRun.Succeeds("eval", "--model", tiny.Model, "--data", tiny.Data, "--adapter", adapter, "--batch", "3");
        string merged = await CliRun.Succeeds("eval", "--model", tiny.PathOf("merged"), "--data", tiny.Data, "--length", "32");
        Assert.Equal(CliRun.Loss(both, "with the adapter"), CliRun.Loss(merged, "base"), 1e-4);
        Assert.NotEqual(CliRun.Loss(both, "base"), CliRun.Loss(both, "with the adapter"));
        Assert.Matches(@"base: loss [0-9.]+, perplexity [0-9.,]+, [0-9,]+ tokens, [0-9,]+ tokens/s", both);
        using CausalLanguageModel model = CausalLanguageModel.Load(tiny.Model, Devices.Cpu);
        TokenRows rows = TextData.Load(tiny.Data, TextTokenizer.Load(tiny.Model), TinyModelFolder.Context);
        Assert.Equal(Delora.Nn.Evaluation.Of(model, rows, 8, TestContext.Current.CancellationToken).Loss, CliRun.Loss(both, "base"), 1e-4);
        Assert.Contains($", {rows.TargetCount} tokens, ", both, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OnlyNewEmptyAndOwnFoldersAreWrittenTo()
    {
        using TinyModelFolder tiny = new();
        string adapter = tiny.SaveAdapter("adapter", new DeloraConfig { R = 2 });
        byte[] model = File.ReadAllBytes(Path.Combine(tiny.Model, WeightFiles.SingleName));
        string[] To(string output) => ["merge", "--model", tiny.Model, "--adapter", adapter, "--out", output];
        await CliRun.Refused("is the folder of the model or of the adapter", To(tiny.Model + Path.DirectorySeparatorChar));
        await CliRun.Refused("is the folder of the model or of the adapter", To(adapter));
        tiny.Write("full/mine.txt", "mine");
        await CliRun.Refused("is not empty, and was not made by delora merge", To(tiny.PathOf("full")));
        Assert.Equal(["mine.txt"], Directory.EnumerateFileSystemEntries(tiny.PathOf("full")).Select(Path.GetFileName));
        Directory.CreateDirectory(tiny.PathOf("empty"));
        await CliRun.Succeeds(To(tiny.PathOf("empty")));
        Assert.Equal(model, File.ReadAllBytes(Path.Combine(tiny.Model, WeightFiles.SingleName)));
    }

    [Fact]
    public async Task WhatCannotBeMergedIsRefusedAndNothingIsMade()
    {
        using TinyModelFolder tiny = new();
        string adapter = tiny.SaveAdapter("adapter", new LoraConfig { R = 1, LoraAlpha = 1e38, TargetModules = ModuleSelector.Of("q_proj") });
        string[] arguments = ["merge", "--model", tiny.Model, "--adapter", adapter, "--out", tiny.PathOf("out")];
        string weights = Path.Combine(adapter, PeftModel.WeightsFileName);
        Scale(weights, 1e10f);
        await CliRun.Refused("NaN or infinite", arguments);
        Scale(weights, float.NaN);
        await CliRun.Refused("NaN", arguments);
        File.Delete(weights);
        await CliRun.Refused("adapter_model", arguments);
        await CliRun.Refused("there is no such folder", "merge", "--model", "nowhere", "--adapter", adapter, "--out", tiny.PathOf("out"));
        Assert.False(Directory.Exists(tiny.PathOf("out")));
    }

    [Fact]
    public async Task InspectShowsAModelFolder()
    {
        using TinyModelFolder tiny = new();
        string text = await CliRun.Succeeds("inspect", tiny.Model);
        Assert.Matches(@"llama, [0-9,]+ parameters, vocabulary \d+, context 32", text);
        Assert.Matches(@"model\.layers\.0\.mlp\.gate_proj\.weight +F32 +\[40, 24\]", text);
    }

    private static float[] Logits(string folder, string? adapter)
    {
        using CausalLanguageModel model = CausalLanguageModel.Load(folder, Devices.Cpu);
        using PeftModel peft = new(model);
        if (adapter is not null)
            peft.Load(adapter);
        using TensorScope scope = new("test");
        return model.Forward(Tensor.From([3, 1, 4, 1, 5, 9, 2, 6], [2, 4], Devices.Cpu)).ToArray<float>();
    }

    private static void Scale(string file, float factor)
    {
        using TensorScope scope = new("test");
        Dictionary<string, Tensor> tensors;
        using (SafetensorsFile old = SafetensorsFile.Open(file))
        {
            tensors = old.Entries.ToDictionary(
                x => x.Name, x => Tensor.From([.. old.Read(x.Name, Devices.Cpu).ToArray<float>().Select(y => y * factor)], x.Shape, Devices.Cpu));
        }

        SafetensorsFile.Write(file, tensors);
    }
}
