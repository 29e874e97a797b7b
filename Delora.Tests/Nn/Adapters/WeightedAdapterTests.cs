using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn.Adapters;

/// <summary>LoRA forms and weighted sums of adapters on a model.</summary>
public sealed class WeightedAdapterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<AdapterConfig> Adapters =>
    [
        new DeloraConfig { R = 3, DeloraLambda = 5, InitWeights = false, TargetModules = ModuleSelector.AllLinear },
        new DeloraConfig { R = 2, ResidualInitialization = true, TargetModules = ModuleSelector.Of("0", "2"), RankPattern = [new("2", 3)] },
        new DeloraConfig { R = 12, InitWeights = false, TargetModules = "[02]", Bias = AdapterBias.AdapterOnly },
        new DeloraConfig { R = 2, InitWeights = false, TargetModules = ModuleSelector.Of("0"), Bias = AdapterBias.All, ModulesToSave = ["2"] },
        new LoraConfig { R = 4, LoraAlpha = 6, UseRslora = true, InitWeights = false, TargetModules = ModuleSelector.AllLinear, AlphaPattern = [new("0", 3)] },
    ];

    [Theory, MemberData(nameof(Adapters))]
    public void TheLoraFormComputesTheSameBits(AdapterConfig config)
    {
        float[] want;
        using (Sequential network = Network())
        using (PeftModel model = new(network))
        {
            model.AddAdapter(config, new Generator(2), "mine");
            Disturb(model);
            want = Run(network);
            model.SaveAsLora(_folder.Path, "mine");
            model.Save(_folder.Path, "mine");
        }
        using (AdapterFolder stored = AdapterFolder.Open(_folder.File("mine"), Devices.Cpu))
            stored.SaveAsLora(_folder.File("stored"));
        foreach (string folder in (string[])[_folder.Path, _folder.File("stored")])
        {
            using Sequential fresh = Network();
            using PeftModel loaded = new(fresh);
            loaded.Load(folder, strict: true);
            var lora = Assert.IsType<LoraConfig>(loaded.Configs["default"]);
            Assert.Equal(config.TargetModules!.IsAllLinear ? ModuleSelector.Of("0", "2") : config.TargetModules, lora.TargetModules);
            Assert.Equal(config.Bias, lora.Bias);
            Assert.Equal(want, Run(fresh));
        }
    }

    [Fact]
    public void ASumIsTheSumAndACopy()
    {
        using Sequential network = Network();
        using PeftModel model = new(network);
        model.AddAdapter(new DeloraConfig { R = 2, InitWeights = false, TargetModules = ModuleSelector.AllLinear }, new Generator(2), "delora");
        model.AddAdapter(new LoraConfig { R = 1, InitWeights = false, TargetModules = ModuleSelector.Of("2") }, new Generator(3), "lora");
        model.AddWeightedAdapter([("delora", 0.75), ("lora", -1.5)], "sum");
        Assert.Equal(["lora"], model.ActiveAdapters);
        Dictionary<string, float[]> parts = Deltas(model);
        Assert.Equal((2, 3), (Layer(model, "0")["sum"].Rank, Layer(model, "2")["sum"].Rank));
        Close(parts["0 delora"].Select(x => 0.75f * x), parts["0 sum"]);
        Close(parts["2 delora"].Zip(parts["2 lora"], (x, y) => 0.75f * x - 1.5f * y), parts["2 sum"]);

        // It computes what the parts compute, is trained alone, and can be saved, loaded and added again.
        Assert.DoesNotContain(model.TrainableParameters(), entry => entry.Name.Contains("sum", StringComparison.Ordinal));
        model.Activate("sum");
        float[] sum = Run(network);
        Assert.All(model.TrainableParameters(), entry => Assert.Contains("sum", entry.Name, StringComparison.Ordinal));
        model.Save(_folder.Path, "sum");
        model.Delete("delora");
        model.Load(_folder.File("sum"), "loaded");
        Assert.Equal(sum, Run(network));
        model.AddWeightedAdapter([("loaded", 1), ("sum", -1)], "nothing");
        Dictionary<string, float[]> after = Deltas(model);
        Assert.All(after["0 nothing"].Concat(after["2 nothing"]), x => Assert.Equal(0, x, 1e-5f));
    }

    [Fact]
    public void ASumIsCompressedToARankOrAShare()
    {
        using Sequential network = Network();
        using PeftModel model = new(network);
        model.AddAdapter(new DeloraConfig { R = 2, InitWeights = false, TargetModules = ModuleSelector.AllLinear }, new Generator(2), "one");
        model.AddAdapter(new DeloraConfig { R = 2, InitWeights = false, TargetModules = ModuleSelector.AllLinear }, new Generator(3), "two");
        model.AddWeightedAdapter([("one", 1), ("two", 1)], "exact");
        model.AddWeightedAdapter([("one", 1), ("two", 1)], "cut", RankChoice.Fixed(3));
        model.AddWeightedAdapter([("one", 1), ("two", 1)], "share", RankChoice.EnergyShare(0.8));
        model.AddWeightedAdapter([("one", 1), ("two", 1)], "full", RankChoice.Fixed(4));
        Dictionary<string, float[]> deltas = Deltas(model);
        foreach (string layer in (string[])["0", "2"])
        {
            Close(deltas[$"{layer} exact"], deltas[$"{layer} full"]);
            LowRankUpdate update = LowRankUpdate.Of(Layer(model, layer)["exact"]);
            double[] energy = [.. update.SingularValues().Select(value => value * value)];
            double Lost(string name) => deltas[$"{layer} exact"].Zip(deltas[$"{layer} {name}"], (a, b) => Math.Pow(a - b, 2)).Sum();
            Assert.Equal(energy[3], Lost("cut"), 1e-4 * energy.Sum());
            Assert.InRange(Lost("share"), 0, 0.2001 * energy.Sum());
        }
        model.Save(_folder.Path, "share");
        model.Load(_folder.File("share"), "again");
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => model.AddWeightedAdapter([("one", 1)], "big", RankChoice.Fixed(6)));
        Assert.Contains("Layer '0'", error.Message, StringComparison.Ordinal);
        Assert.False(model.Configs.ContainsKey("big"));
    }

    [Fact]
    public void WhatCannotBeAddedIsRefusedByName()
    {
        using Sequential network = Network();
        using PeftModel model = new(network);
        DeloraConfig config = new() { R = 2, InitWeights = false, TargetModules = ModuleSelector.Of("0") };
        model.AddAdapter(config, new Generator(2), "plain");
        model.AddAdapter(config with { ModulesToSave = ["2"] }, new Generator(2), "whole");
        model.AddAdapter(config with { Bias = AdapterBias.All }, new Generator(2), "bias");
        foreach (string name in (string[])["whole", "bias"])
        {
            var error = Assert.Throws<NotSupportedException>(() => model.AddWeightedAdapter([("plain", 1), (name, 1)], "sum"));
            Assert.Contains($"'{name}'", error.Message, StringComparison.Ordinal);
            Assert.Throws<NotSupportedException>(() => model.AddWeightedAdapter([(name, 1)], "copy"));
        }
        Assert.Throws<ArgumentException>(() => model.AddWeightedAdapter([], "sum"));
        Assert.Throws<ArgumentException>(() => model.AddWeightedAdapter([("none", 1)], "sum"));
        Assert.Throws<ArgumentException>(() => model.AddWeightedAdapter([("plain", double.NaN)], "sum"));
        Assert.Throws<ArgumentException>(() => model.AddWeightedAdapter([("plain", 1)], "bias"));
        Assert.Throws<ArgumentException>(() => model.SaveAsLora(_folder.Path, "none"));
        Layer(model, "0")["plain"].Parameters.First().Parameter.Value.CopyFrom(Enumerable.Repeat(float.NaN, 12).ToArray());
        Assert.Throws<NonFiniteException>(() => model.SaveAsLora(_folder.Path, "plain"));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void EmbeddingsAreConvertedAndAddedToo()
    {
        LlamaConfig config = TinyLlama.Config;
        using LlamaForCausalLM network = TinyLlama.Create(config), fresh = TinyLlama.Create(config);
        using PeftModel model = new(network), loaded = new(fresh);
        string[] targets = ["embed_tokens", "v_proj"];
        model.AddAdapter(new DeloraConfig { R = 2, InitWeights = false, TargetModules = targets }, new Generator(1), "delora");
        float[] want = Logits(network);
        model.SaveAsLora(_folder.Path, "delora");
        model.Save(_folder.Path, "delora");
        using (AdapterFolder stored = AdapterFolder.Open(_folder.File("delora"), Devices.Cpu)) stored.SaveAsLora(_folder.File("stored"));
        Assert.Equal(
            File.ReadAllBytes(_folder.File(PeftModel.WeightsFileName)), File.ReadAllBytes(_folder.File(Path.Combine("stored", PeftModel.WeightsFileName))));
        loaded.Load(_folder.Path, strict: true);
        Assert.Equal(want, Logits(fresh));
        using (SafetensorsFile file = SafetensorsFile.Open(_folder.File(PeftModel.WeightsFileName)))
            Assert.True(file.Contains("base_model.model.model.embed_tokens.lora_embedding_A"));
        model.AddAdapter(new LoraConfig { R = 1, InitWeights = false, TargetModules = targets }, new Generator(2), "lora");
        model.AddWeightedAdapter([("delora", 1), ("lora", -0.5)], "sum", RankChoice.Fixed(3));
        Dictionary<string, float[]> deltas = Deltas(model);
        Close(deltas["model.embed_tokens delora"].Zip(deltas["model.embed_tokens lora"], (a, b) => a - b / 2), deltas["model.embed_tokens sum"]);

        static float[] Logits(LlamaForCausalLM network)
        {
            using TensorScope scope = new();
            return network.Forward(TinyLlama.Ids([2, 5], Devices.Cpu)).ToArray<float>();
        }
    }

    [Fact]
    public void RanksOfLayersWhoseNamesEndInOthersNamesAreTold()
    {
        using Sequential inner = new(new Linear(5, 5, Devices.Cpu, new Generator(7)));
        using Sequential network = new(new Linear(6, 5, Devices.Cpu, new Generator(1)), inner, new Linear(5, 7, Devices.Cpu, new Generator(2)));
        using PeftModel model = new(network);
        DeloraConfig config = new() { R = 2, InitWeights = false, TargetModules = ModuleSelector.Of("0", "2") };
        model.AddAdapter(config with { RankPattern = [new(@"1\.0", 3), new("2", 1)] }, new Generator(2));
        Assert.Equal([2, 3, 1], model.AdaptedLayers.Select(pair => pair.Layer.Adapters["default"].Rank));
        model.SaveAsLora(_folder.Path);
        model.Load(_folder.Path, "lora");
        Assert.Equal([2, 3, 1], model.AdaptedLayers.Select(pair => pair.Layer.Adapters["lora"].Rank));
        Assert.All(model.AdaptedLayers, pair => Assert.Equal(1, ((LoraAdapter)pair.Layer.Adapters["lora"]).Scaling));
        Assert.Equal(Deltas(model)["1.0 default"], Deltas(model)["1.0 lora"]);
    }

    private static Sequential Network() =>
        new(new Linear(6, 5, Devices.Cpu, new Generator(1)), Activation.Relu(), new Linear(5, 7, Devices.Cpu, new Generator(2)));

    private static LinearAdapters Layer(PeftModel model, string name) => model.AdaptedLayers.Single(pair => pair.Name == name).Layer.Adapters;

    private static float[] Run(Sequential network)
    {
        using TensorScope scope = new();
        return network.Forward(Tensor.From([.. Enumerable.Range(0, 24).Select(i => (float)Math.Sin(i))], [4, 6], Devices.Cpu, "x")).ToArray<float>();
    }

    /// <summary>Moves everything that is trained, as training would.</summary>
    private static void Disturb(PeftModel model)
    {
        Random random = new(5);
        foreach ((_, Parameter parameter) in model.TrainableParameters())
            parameter.Value.CopyFrom<float>([.. parameter.Value.ToArray<float>().Select(value => value + (random.NextSingle() - 0.5f))]);
    }

    private static Dictionary<string, float[]> Deltas(PeftModel model)
    {
        Dictionary<string, float[]> deltas = [];
        foreach ((string name, IAdaptedLayer layer) in model.AdaptedLayers)
            foreach (string adapter in layer.Adapters.Names)
            {
                using Tensor delta = layer.Adapters[adapter].DeltaWeight();
                deltas.Add($"{name} {adapter}", delta.ToArray<float>());
            }
        return deltas;
    }

    private static void Close(IEnumerable<float> want, float[] got) => Assert.Equal(want, got, (a, b) => Math.Abs(a - b) < 1e-5 * Math.Max(1, Math.Abs(a)));
}
