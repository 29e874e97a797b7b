using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn.Models;

public sealed class LlamaTests
{
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void EveryDeviceComputesWhatTheReferenceDoes(string name) =>
        LanguageModelTesting.DeviceAgreesWithReference(device => TinyLlama.Create(device: device), TestDevices.Get(name), seq: 5, 2e-5);

    [Fact]
    public void ModulesAndTensorsHaveTheNamesOfTransformers()
    {
        using LlamaForCausalLM model = TinyLlama.Create(TinyLlama.Config with { NumHiddenLayers = 1, AttentionBias = true }, freeze: false);
        LanguageModelTesting.TensorsAreThoseOfTheConfiguration(model);
        Assert.Contains("model.layers.0.self_attn.q_proj.bias", model.NamedState().Select(entry => entry.Name));
        Assert.Contains("model.layers.0.post_attention_layernorm.weight", model.NamedState().Select(entry => entry.Name));
    }

    [Fact]
    public void ParametersAreCountedOnce()
    {
        LlamaConfig tied = TinyLlama.Config with { TieWordEmbeddings = true };
        using LlamaForCausalLM model = TinyLlama.Create(tied, freeze: false);
        LanguageModelTesting.TensorsAreThoseOfTheConfiguration(model);
        Assert.Equal(tied.ParameterCount + 37 * 24, TinyLlama.Config.ParameterCount);
        Assert.Equal(134_515_008, Smol135.ParameterCount);
    }

    private static LlamaConfig Smol135 => new()
    {
        VocabSize = 49152,
        HiddenSize = 576,
        IntermediateSize = 1536,
        NumHiddenLayers = 30,
        NumAttentionHeads = 9,
        NumKeyValueHeads = 3,
        TieWordEmbeddings = true,
    };

    [Fact]
    public void TiedEmbeddingsComputeWhatACopyOfTheTableDoes()
    {
        LlamaConfig tied = TinyLlama.Config with { TieWordEmbeddings = true };
        foreach (bool freeze in (bool[])[false, true])
        {
            using LlamaForCausalLM one = TinyLlama.Create(tied, freeze: freeze), two = TinyLlama.Create(freeze: freeze);
            using var scope = new TensorScope("test");
            Dictionary<string, ModuleState> to = two.NamedState().ToDictionary(entry => entry.Name, entry => entry.State);
            foreach ((string name, ModuleState state) in one.NamedState()) to[name].Write(state.Read());
            to["lm_head.weight"].Write(to["model.embed_tokens.weight"].Read());
            Tensor ids = TinyLlama.Ids([2, 6], Devices.Cpu);
            Assert.Equal(two.Forward(ids).ToArray<float>(), one.Forward(ids).ToArray<float>());
        }
    }

    [Theory, InlineData(true), InlineData(false)]
    public void GradientsOfAllWeightsMatchNumericalDifferentiation(bool tied)
    {
        LlamaConfig config = TinyLlama.Config with
        {
            NumHiddenLayers = 1,
            HiddenSize = 8,
            IntermediateSize = 6,
            NumAttentionHeads = 2,
            NumKeyValueHeads = 1,
            VocabSize = 37,
            TieWordEmbeddings = tied,
        };
        using LlamaForCausalLM model = TinyLlama.Create(config, Devices.Reference, freeze: false);
        LanguageModelTesting.GradientsMatchNumericalDifferentiation(model);
    }

    [Fact]
    public void TheLossIsTheCrossEntropyOfTheLogits()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        using var scope = new TensorScope("test");
        Tensor ids = TinyLlama.Ids([2, 7], Devices.Cpu), targets = TinyLlama.Ids([2, 7], Devices.Cpu, seed: 4);
        Assert.Equal(model.Forward(ids).CrossEntropy(targets).ToScalar(), model.Loss(ids, targets).ToScalar(), 1e-5);
    }

    [Fact]
    public void AnAdapterOnTheOutputLayerTakesPartInTheLoss()
    {
        using LlamaForCausalLM model = TinyLlama.Create(TinyLlama.Config with { TieWordEmbeddings = true });
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = (string[])["lm_head"], InitWeights = false }, new Generator(1));
        using Tensor ids = TinyLlama.Ids([2, 7], Devices.Cpu), targets = TinyLlama.Ids([2, 7], Devices.Cpu, seed: 4);
        using (var tape = new Tape())
        {
            Tensor loss = model.Loss(ids, targets);
            Assert.Equal(model.Forward(ids).CrossEntropy(targets).ToScalar(), loss.ToScalar(), 1e-5);
            tape.Backward(loss);
        }
        Assert.All(peft.TrainableParameters(), entry => Assert.NotNull(entry.Parameter.Gradient));
    }

    [Fact]
    public void DefaultTargetsAreQueryAndValueAndAllLinearLeavesTheOutputLayerOut()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2 }, new Generator(1));
        Assert.Equal(["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"],
            peft.AdaptedLayers.Select(pair => pair.Name));
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear }, new Generator(1), "all");
        Assert.Equal(14, peft.AdaptedLayers.Count(pair => pair.Layer.Adapters.Contains("all")));
    }

    [Fact]
    public void NothingIsRecordedBelowTheLowestAdapter()
    {
        using LlamaForCausalLM model = TinyLlama.Create(TinyLlama.Config with { NumHiddenLayers = 4 });
        int[] counts = [.. ((int[])[3, 0]).Select(layer =>
        {
            using var peft = new PeftModel(model);
            peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = (string[])[$"layers.{layer}.self_attn.q_proj"] }, new Generator(1));
            using Tensor ids = TinyLlama.Ids([1, 4], Devices.Cpu);
            using var tape = new Tape();
            model.Loss(ids, ids);
            return tape.Count;
        })];
        Assert.True(counts[0] < counts[1] / 2, $"{counts[0]} operations recorded for the top layer, {counts[1]} for the lowest");
    }

    [Theory, MemberData(nameof(TestDevices.CpuNames), MemberType = typeof(TestDevices))]
    public void ACacheGivesWhatTheWholeSequenceGives(string name)
    {
        using LlamaForCausalLM model = TinyLlama.Create(device: TestDevices.Get(name));
        LanguageModelTesting.CacheAgreesWithTheWholeSequence(model);
    }

    [Fact]
    public void PaddingChangesNothingForTheTokensThatCount()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        LanguageModelTesting.PaddingChangesNothing(model);
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        LanguageModelTesting.WhatDoesNotFitIsRefused(model);
        using var scope = new TensorScope("test");
        Tensor ids = TinyLlama.Ids([1, 2], Devices.Cpu), positions = Tensor.From([0, 32], [1, 2], Devices.Cpu);
        Assert.Contains("below 32", Assert.Throws<IndexException>(() => model.Forward(ids, positions: positions)).Message);
        foreach ((int inputs, int targets, int length) in ((int, int, int)[])[(4, 4, 0), (4, 4, -1), (4, 4, 3), (4, 6, 2), (0, 0, 2)])
            Assert.Contains($"no whole rows of {length}", Assert.Throws<ShapeException>(() => model.Loss((new int[inputs], new int[targets]), length)).Message);
    }

    /// <summary>The table of angles is as long as what is computed on, not as the context.</summary>
    [Fact]
    public void GivenPositionsMakeNoTableOfTheWholeContext()
    {
        using var cpu = new CpuDevice(2);
        using LlamaForCausalLM model = TinyLlama.Create(TinyLlama.Config with { MaxPositionEmbeddings = 1 << 18 }, cpu);
        long before = cpu.Memory.Statistics.PeakBytesInUse;
        using var scope = new TensorScope("test");
        model.Forward(TinyLlama.Ids([1, 3], cpu), positions: Tensor.From([0, 0, 1], [1, 3], cpu));
        long more = cpu.Memory.Statistics.PeakBytesInUse - before;
        Assert.True(more < 1 << 18, $"{more} bytes more for three tokens");
    }

    [Fact]
    public void ACacheUnderATapeIsRefused()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        using KeyValueCache cache = model.CreateCache(1, 4);
        using var tape = new Tape();
        Assert.Throws<GradientException>(() => model.ForwardLast(TinyLlama.Ids([1, 2], Devices.Cpu), cache));
    }

    [Fact]
    public void ADisposedModelSaysSo()
    {
        LlamaForCausalLM model = TinyLlama.Create();
        model.Dispose();
        using Tensor ids = TinyLlama.Ids([1, 2], Devices.Cpu);
        Assert.Throws<ObjectDisposedException>(() => model.Forward(ids));
    }
}
