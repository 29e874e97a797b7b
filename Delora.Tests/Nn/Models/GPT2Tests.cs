using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn.Models;

public sealed class GPT2Tests
{
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void EveryDeviceComputesWhatTheReferenceDoes(string name)
    {
        Device device = TestDevices.Get(name);
        double[][] results = [.. ((Device[])[Devices.Reference, device]).Select(d =>
        {
            using GPT2LMHeadModel model = TinyGPT2.Create(device: d);
            using var scope = new TensorScope("test");
            return model.Forward(TinyLlama.Ids([1, 5], d)).ToArray<double>();
        })];
        OpTesting.Close(results[0], results[1], 2e-5);
    }

    [Fact]
    public void ModulesAndTensorsHaveTheNamesOfTransformers()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        Assert.Equal(model.Config.TensorShapes().OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => (pair.Key, pair.Value)),
            model.NamedState().OrderBy(entry => entry.Name, StringComparer.Ordinal).Select(entry => (entry.Name, entry.State.Shape)));
        Dictionary<string, Shape> shapes = model.NamedState().ToDictionary(entry => entry.Name, entry => entry.State.Shape);
        Assert.Equal([24, 72], shapes["transformer.h.1.attn.c_attn.weight"]);
        Assert.Equal([40, 24], shapes["transformer.h.0.mlp.c_proj.weight"]);
        Assert.DoesNotContain("lm_head.weight", shapes.Keys);
    }

    [Fact]
    public void ParametersAreCountedOnce()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create(freeze: false);
        Assert.Equal(model.Config.ParameterCount, model.NamedParameters().Sum(entry => entry.Parameter.Value.ElementCount));
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
        using Tensor ids = TinyLlama.Ids([1, 4], Devices.Reference), targets = TinyLlama.Ids([1, 4], Devices.Reference, seed: 4);
        GradientCheck.Numerical(() => model.Loss(ids, targets), [.. model.NamedParameters().Select(entry => entry.Parameter)]);
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
        Device device = TestDevices.Get(name);
        using GPT2LMHeadModel model = TinyGPT2.Create(device: device);
        using var scope = new TensorScope("test");
        Tensor ids = TinyLlama.Ids([2, 9], device);
        int[] numbers = ids.ToArray<int>();
        double[] whole = model.Forward(ids).ToArray<double>();
        using KeyValueCache cache = model.CreateCache(2, 12);
        foreach ((int start, int count) in ((int, int)[])[(0, 4), (4, 1), (5, 3), (8, 1)])
        {
            int[] part = [.. Enumerable.Range(0, 2).SelectMany(b => numbers.Skip(b * 9 + start).Take(count))];
            double[] got = model.ForwardLast(Tensor.From(part, [2, count], device), cache).ToArray<double>();
            int last = start + count - 1;
            OpTesting.Close([.. Enumerable.Range(0, 2).SelectMany(b => whole.Skip((b * 9 + last) * 37).Take(37))], got, 2e-5);
        }
        Assert.Equal(9, cache.Length);
    }

    [Fact]
    public void PaddingChangesNothingForTheTokensThatCount()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        using var scope = new TensorScope("test");
        double[] alone = model.Forward(Tensor.From([5, 6, 7], [1, 3], Devices.Cpu)).ToArray<double>();
        Tensor right = model.Forward(Tensor.From([5, 6, 7, 0, 0], [1, 5], Devices.Cpu), Tensor.From([1, 1, 1, 0, 0], [1, 5], Devices.Cpu));
        OpTesting.Close(alone, right.ToArray<double>()[..(3 * 37)], 1e-5);
        // On the left, with positions that begin at the first token.
        Tensor ids = Tensor.From([0, 0, 5, 6, 7], [1, 5], Devices.Cpu), mask = Tensor.From([0, 0, 1, 1, 1], [1, 5], Devices.Cpu);
        Tensor left = model.Forward(ids, mask, positions: Tensor.From([0, 0, 0, 1, 2], [1, 5], Devices.Cpu));
        OpTesting.Close(alone, left.ToArray<double>()[(2 * 37)..], 1e-5);
        // Without them, positions are counted from the first place, padding included.
        Assert.NotEqual(left.ToArray<double>(), model.Forward(ids, mask).ToArray<double>());
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        using var scope = new TensorScope("test");
        Assert.Contains("33 tokens are more than the context of 32 holds",
            Assert.Throws<ShapeException>(() => model.Forward(TinyLlama.Ids([1, 33], Devices.Cpu))).Message);
        using KeyValueCache cache = model.CreateCache(1, 4);
        Assert.Contains("cache of 4", Assert.Throws<ShapeException>(() => model.ForwardLast(TinyLlama.Ids([1, 5], Devices.Cpu), cache)).Message);
        Assert.Throws<IndexException>(() => model.Forward(Tensor.From([37], [1, 1], Devices.Cpu)));
        Tensor ids = TinyLlama.Ids([1, 2], Devices.Cpu);
        Assert.Throws<IndexException>(() => model.Forward(ids, positions: Tensor.From([0, 32], [1, 2], Devices.Cpu)));
        Assert.Throws<ShapeException>(() => model.Forward(ids, positions: Tensor.From([0, 1], [2], Devices.Cpu)));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.CreateCache(1, 33));
        Assert.Equal(0, cache.Length);
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
