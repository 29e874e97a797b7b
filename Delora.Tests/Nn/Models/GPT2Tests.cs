using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn.Models;

public sealed class GPT2Tests
{
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void EveryDeviceComputesWhatTheReferenceDoes(string name) =>
        LanguageModelTesting.DeviceAgreesWithReference(device => TinyGPT2.Create(device: device), TestDevices.Get(name), seq: 5, 2e-5);

    [Fact]
    public void ModulesAndTensorsHaveTheNamesOfTransformers()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create(freeze: false);
        LanguageModelTesting.TensorsAreThoseOfTheConfiguration(model);
        Dictionary<string, Shape> shapes = model.NamedState().ToDictionary(entry => entry.Name, entry => entry.State.Shape);
        Assert.Equal([24, 72], shapes["transformer.h.1.attn.c_attn.weight"]);
        Assert.Equal([40, 24], shapes["transformer.h.0.mlp.c_proj.weight"]);
        Assert.DoesNotContain("lm_head.weight", shapes.Keys);
    }

    [Fact]
    public void ParametersAreThoseOfThePublishedModel()
    {
        // The published "gpt2", as its model card counts it.
        Assert.Equal(124_439_808, new GPT2Config
        {
            VocabSize = 50257,
            HiddenSize = 768,
            NumHiddenLayers = 12,
            NumAttentionHeads = 12,
            MaxPositionEmbeddings = 1024,
        }.ParameterCount);
    }

    [Theory, InlineData(true), InlineData(false)]
    public void GradientsOfAllWeightsMatchNumericalDifferentiation(bool tied)
    {
        GPT2Config config = TinyGPT2.Config with
        {
            NumHiddenLayers = 1,
            HiddenSize = 8,
            InnerSize = null,
            NumAttentionHeads = 2,
            MaxPositionEmbeddings = 4,
            TieWordEmbeddings = tied,
        };
        using GPT2LMHeadModel model = TinyGPT2.Create(config, Devices.Reference, freeze: false);
        LanguageModelTesting.GradientsMatchNumericalDifferentiation(model);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void ScalesOfTheScoresAreThoseOfScaledQueries(bool byLayer)
    {
        // What scales the scores can as well scale the queries' part of the joint projection.
        GPT2Config config = byLayer
            ? TinyGPT2.Config with { ScaleAttentionByInverseLayerIndex = true }
            : TinyGPT2.Config with { ScaleAttentionWeights = false };
        using GPT2LMHeadModel scaled = TinyGPT2.Create(config, Devices.Reference), plain = TinyGPT2.Create(device: Devices.Reference);
        using var scope = new TensorScope("test");
        Tensor ids = TinyLlama.Ids([2, 6], Devices.Reference);
        double[] want = scaled.Forward(ids).ToArray<double>();
        Assert.NotEqual(want, plain.Forward(ids).ToArray<double>());
        int hidden = config.HiddenSize;
        foreach ((string name, ModuleState state) in plain.NamedState())
            for (int layer = 0; layer < config.NumHiddenLayers; layer++)
            {
                if (!name.StartsWith($"transformer.h.{layer}.attn.c_attn.", StringComparison.Ordinal)) continue;
                double factor = byLayer ? 1.0 / (layer + 1) : Math.Sqrt(config.HeadSize);
                double[] values = state.Read().ToArray<double>();
                // weight [hidden, 3 · hidden] and bias [3 · hidden]: the first third of each row.
                for (int i = 0; i < values.Length; i++) values[i] *= i % (3 * hidden) < hidden ? factor : 1;
                state.Write(Tensor.From(values, state.Shape, Devices.Reference, name));
            }
        OpTesting.Close(want, plain.Forward(ids).ToArray<double>(), 1e-12);
    }

    [Fact]
    public void ActivationsDiffer()
    {
        using var scope = new TensorScope("test");
        double[][] results = [.. ((string[])["gelu", "gelu_new", "relu", "silu", "tanh", "sigmoid"]).Select(name =>
        {
            using GPT2LMHeadModel model = TinyGPT2.Create(TinyGPT2.Config with { ActivationFunction = name });
            return model.Forward(TinyLlama.Ids([1, 4], Devices.Cpu)).ToArray<double>();
        })];
        Assert.Equal(results.Length, results.Select(result => result[^1]).Distinct().Count());
    }

    [Fact]
    public void TheLossIsTheCrossEntropyOfTheLogits()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        using var scope = new TensorScope("test");
        Tensor ids = TinyLlama.Ids([2, 7], Devices.Cpu), targets = TinyLlama.Ids([2, 7], Devices.Cpu, seed: 4);
        Assert.Equal(model.Forward(ids).CrossEntropy(targets).ToScalar(), model.Loss(ids, targets).ToScalar(), 1e-5);
    }

    [Fact]
    public void DefaultTargetsAreTheJointProjectionsAndAllLinearTakesEveryConv1D()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2 }, new Generator(1));
        Assert.Equal(["transformer.h.0.attn.c_attn", "transformer.h.1.attn.c_attn"], peft.AdaptedLayers.Select(pair => pair.Name));
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear }, new Generator(1), "all");
        string[] parts = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];
        Assert.Equal([.. from layer in (int[])[0, 1] from part in parts select $"transformer.h.{layer}.{part}"],
            peft.AdaptedLayers.Where(pair => pair.Layer.Adapters.Contains("all")).Select(pair => pair.Name));
    }

    [Theory, MemberData(nameof(TestDevices.CpuNames), MemberType = typeof(TestDevices))]
    public void ACacheGivesWhatTheWholeSequenceGives(string name)
    {
        using GPT2LMHeadModel model = TinyGPT2.Create(device: TestDevices.Get(name));
        LanguageModelTesting.CacheAgreesWithTheWholeSequence(model);
    }

    [Fact]
    public void PaddingChangesNothingForTheTokensThatCount()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        LanguageModelTesting.PaddingChangesNothing(model);
        // Where none are given, positions are counted from the first place, padding included.
        using var scope = new TensorScope("test");
        Tensor ids = Tensor.From([0, 0, 5, 6, 7], [1, 5], Devices.Cpu), mask = Tensor.From([0, 0, 1, 1, 1], [1, 5], Devices.Cpu);
        Tensor given = model.Forward(ids, mask, positions: Tensor.From([0, 0, 0, 1, 2], [1, 5], Devices.Cpu));
        Assert.NotEqual(given.ToArray<double>(), model.Forward(ids, mask).ToArray<double>());
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        LanguageModelTesting.WhatDoesNotFitIsRefused(model);
    }

    [Fact]
    public void MergingIntoATiedOutputLayerChangesTheEmbeddingToo()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        using var peft = new PeftModel(model);
        List<string> warnings = [];
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = (string[])["lm_head"], InitWeights = false }, new Generator(1), warn: warnings.Add);
        Assert.Contains(warnings, warning => warning.Contains("'lm_head' shares its weight with the embedding", StringComparison.Ordinal));
        using var scope = new TensorScope("test");
        ModuleState table = model.NamedState().Single(entry => entry.Name == "transformer.wte.weight").State;
        var layer = (Linear)model.GetModule("lm_head");
        using Tensor change = layer.Adapters["default"].DeltaWeight();
        float[] before = table.Read().ToArray<float>(), delta = change.ToArray<float>();
        peft.Merge();
        float[] after = table.Read().ToArray<float>();
        for (int i = 0; i < after.Length; i++) Assert.Equal(before[i] + delta[i], after[i], 1e-5f);
        Assert.NotEqual(before, after);
        Assert.Equal(after, layer.CopyWeight().ToArray<float>());
        peft.Unmerge();
        Assert.Equal(before, table.Read().ToArray<float>());
    }
}
