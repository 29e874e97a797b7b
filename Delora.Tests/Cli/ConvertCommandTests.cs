using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests;

/// <summary>The commands that make LoRA adapters of others: <c>export lora</c> and <c>combine</c>.</summary>
public sealed class ConvertCommandTests
{
    [Fact]
    public async Task AnExportedAdapterComputesTheSameBits()
    {
        using TinyModelFolder tiny = new();
        string adapter = tiny.SaveAdapter("adapter", new DeloraConfig { R = 3, TargetModules = ModuleSelector.AllLinear, ModulesToSave = ["lm_head"] });
        string output = tiny.PathOf("lora");
        string told = await CliRun.Succeeds("export", "lora", adapter, output);
        Assert.Contains($"LoRA adapter: {output}, rank 3, in 14 layers", told, StringComparison.Ordinal);
        Assert.Equal(Logits(tiny.Model, adapter), Logits(tiny.Model, output));
        Assert.Matches("peft_type: LORA", await CliRun.Succeeds("inspect", output));
    }

    [Fact]
    public async Task AnExportCanBeCut()
    {
        using TinyModelFolder tiny = new();
        string adapter = tiny.SaveAdapter("adapter", new DeloraConfig { R = 3, TargetModules = ModuleSelector.Of("q_proj", "down_proj") });
        Assert.Contains("rank 2, in 4 layers", await CliRun.Succeeds("export", "lora", adapter, tiny.PathOf("two"), "--rank", "2"), StringComparison.Ordinal);
        await CliRun.Succeeds("export", "lora", adapter, tiny.PathOf("share"), "--energy", "0.6");
        using AdapterFolder whole = AdapterFolder.Open(adapter, Devices.Cpu), share = AdapterFolder.Open(tiny.PathOf("share"), Devices.Cpu);
        foreach ((LayerBound before, LayerBound after) in whole.BoundReport().Layers.Zip(share.BoundReport().Layers))
            Assert.InRange(Math.Pow(after.Norm / before.Norm, 2), 0.6, 1 + 1e-5);
        await CliRun.Refused("--rank and --energy", "export", "lora", adapter, tiny.PathOf("x"), "--rank", "2", "--energy", "0.5");
        await CliRun.Refused("--energy '1.5'", "export", "lora", adapter, tiny.PathOf("x"), "--energy", "1.5");
        string error = (await CliRun.Refused("must not be above", "export", "lora", adapter, tiny.PathOf("x"), "--rank", "4000")).Error;
        Assert.DoesNotContain("Parameter", error, StringComparison.Ordinal);
        await CliRun.Refused("holds an adapter already", "export", "lora", adapter, adapter);
        await CliRun.Refused("adapter_config.json", "export", "lora", tiny.Model, tiny.PathOf("x"));
        Assert.False(Directory.Exists(tiny.PathOf("x")));
    }

    [Fact]
    public async Task AdaptersAreAddedWithWeights()
    {
        using TinyModelFolder tiny = new();
        string one = tiny.SaveAdapter("one", new DeloraConfig { R = 2, BaseModelNameOrPath = "m" });
        LoraConfig lora = new() { R = 1, LoraAlpha = 3, TargetModules = ModuleSelector.Of("q_proj", "lm_head"), BaseModelNameOrPath = "m" };
        string two = tiny.SaveAdapter("two", lora);
        string output = tiny.PathOf("sum");
        string told = await CliRun.Succeeds("combine", one, two, "--weights", "-0.5,2", "--out", output);
        Assert.Contains("ranks 1 to 3, in 5 layers", told, StringComparison.Ordinal);
        Assert.Contains("times -0.5", told, StringComparison.Ordinal);
        using CausalLanguageModel model = CausalLanguageModel.Load(tiny.Model, Devices.Cpu);
        using PeftModel peft = new(model);
        peft.Load(one, "one");
        peft.Load(two, "two");
        peft.Load(output, "sum");
        Assert.Equal("m", peft.Configs["sum"].BaseModelNameOrPath);
        foreach ((string name, IAdaptedLayer layer) in peft.AdaptedLayers)
        {
            float[] Delta(string adapter)
            {
                if (!layer.Adapters.Contains(adapter)) return new float[layer.In * layer.Out];
                using Tensor delta = layer.Adapters[adapter].DeltaWeight();
                return delta.ToArray<float>();
            }
            Assert.Equal(Delta("one").Zip(Delta("two"), (a, b) => -0.5f * a + 2 * b), Delta("sum"), (a, b) => Math.Abs(a - b) < 1e-5);
        }
        Assert.Contains("rank 1, in", await CliRun.Succeeds("combine", one, two, "--rank", "1", "--out", tiny.PathOf("cut")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatCannotBeAddedIsRefused()
    {
        using TinyModelFolder tiny = new();
        string one = tiny.SaveAdapter("one", new DeloraConfig { R = 2 }), output = tiny.PathOf("sum");
        string whole = tiny.SaveAdapter("whole", new DeloraConfig { R = 2, ModulesToSave = ["lm_head"] });
        await CliRun.Refused("2 numbers for 1 adapters", "combine", one, "--weights", "1,2", "--out", output);
        await CliRun.Refused("finite numbers with commas", "combine", one, "--weights", "NaN", "--out", output);
        await CliRun.Refused("finite numbers with commas", "combine", one, "--weights", "1,", "--out", output);
        await CliRun.Refused("modules_to_save", "combine", one, whole, "--out", output);
        await CliRun.Refused("--out", "combine", one);
        string two = tiny.SaveAdapter("two", new LoraConfig { R = 1, LoraAlpha = 12, TargetModules = ModuleSelector.Of("q_proj") });
        await CliRun.Refused($"'{two}' times 3E+38", "combine", one, two, "--weights", "1,3e38", "--out", output);
        Assert.False(Directory.Exists(output));
    }

    private static float[] Logits(string folder, string adapter)
    {
        using CausalLanguageModel model = CausalLanguageModel.Load(folder, Devices.Cpu);
        using PeftModel peft = new(model);
        peft.Load(adapter, strict: true);
        using TensorScope scope = new();
        return model.Forward(Tensor.From([1, 5, 9, 2, 7], [1, 5], Devices.Cpu, "ids")).ToArray<float>();
    }
}
