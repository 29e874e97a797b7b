using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn.Models;

public sealed class LlamaTests
{
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void EveryDeviceComputesWhatTheReferenceDoes(string name)
    {
        Device device = TestDevices.Get(name);
        double[][] results = [.. ((Device[])[Devices.Reference, device]).Select(d =>
        {
            using LlamaForCausalLM model = TinyLlama.Create(device: d);
            using var scope = new TensorScope("test");
            return model.Forward(TinyLlama.Ids([1, 5], d)).ToArray<double>();
        })];
        OpTesting.Close(results[0], results[1], 2e-5);
    }

    [Fact]
    public void ModulesAndTensorsHaveTheNamesOfTransformers()
    {
        using LlamaForCausalLM model = TinyLlama.Create(TinyLlama.Config with { NumHiddenLayers = 1, AttentionBias = true });
        Assert.Equal(model.Config.TensorShapes().OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => (pair.Key, pair.Value)),
            model.NamedState().OrderBy(entry => entry.Name, StringComparer.Ordinal).Select(entry => (entry.Name, entry.State.Shape)));
        Assert.Contains("model.layers.0.self_attn.q_proj.bias", model.NamedState().Select(entry => entry.Name));
        Assert.Contains("model.layers.0.post_attention_layernorm.weight", model.NamedState().Select(entry => entry.Name));
    }

    [Fact]
    public void ParametersAreCountedOnce()
    {
        LlamaConfig tied = TinyLlama.Config with { TieWordEmbeddings = true };
        using LlamaForCausalLM model = TinyLlama.Create(tied, freeze: false);
        Assert.Equal(tied.ParameterCount, model.NamedParameters().Sum(entry => entry.Parameter.Value.ElementCount));
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
        using Tensor ids = TinyLlama.Ids([1, 4], Devices.Reference), targets = TinyLlama.Ids([1, 4], Devices.Reference, seed: 4);
        GradientCheck.Numerical(() => model.Loss(ids, targets), [.. model.NamedParameters().Select(entry => entry.Parameter)]);
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
    public void ASharedTableIsNotTrainedAsAWhole()
    {
        using LlamaForCausalLM model = TinyLlama.Create(TinyLlama.Config with { TieWordEmbeddings = true });
        using var peft = new PeftModel(model);
        foreach (string name in (string[])["lm_head", "embed_tokens"])
        {
            var error = Assert.Throws<DeloraFormatException>(() => peft.AddAdapter(new DeloraConfig { ModulesToSave = [name] }, new Generator(1)));
            Assert.Contains("tied", error.Message);
        }
        Assert.Empty(peft.Configs);
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
        Device device = TestDevices.Get(name);
        using LlamaForCausalLM model = TinyLlama.Create(device: device);
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
        cache.Truncate(4);
        double[] again = model.ForwardLast(Tensor.From([numbers[4], numbers[13]], [2, 1], device), cache).ToArray<double>();
        OpTesting.Close([.. Enumerable.Range(0, 2).SelectMany(b => whole.Skip((b * 9 + 4) * 37).Take(37))], again, 2e-5);
    }

    [Fact]
    public void PaddingChangesNothingForTheTokensThatCount()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        using var scope = new TensorScope("test");
        double[] alone = model.Forward(Tensor.From([5, 6, 7], [1, 3], Devices.Cpu)).ToArray<double>();
        Tensor right = model.Forward(Tensor.From([5, 6, 7, 0, 0], [1, 5], Devices.Cpu), Tensor.From([1, 1, 1, 0, 0], [1, 5], Devices.Cpu));
        OpTesting.Close(alone, right.ToArray<double>()[..(3 * 37)], 1e-5);
        // On the left, with positions that begin at the first token.
        Tensor left = model.Forward(Tensor.From([0, 0, 5, 6, 7], [1, 5], Devices.Cpu), Tensor.From([0, 0, 1, 1, 1], [1, 5], Devices.Cpu),
            positions: Tensor.From([0, 0, 0, 1, 2], [1, 5], Devices.Cpu));
        OpTesting.Close(alone, left.ToArray<double>()[(2 * 37)..], 1e-5);
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        using var scope = new TensorScope("test");
        Assert.Contains("33 tokens are more than the context of 32 holds", Assert.Throws<ShapeException>(() => model.Forward(TinyLlama.Ids([1, 33], Devices.Cpu))).Message);
        using KeyValueCache cache = model.CreateCache(1, 4);
        Assert.Contains("cache of 4", Assert.Throws<ShapeException>(() => model.ForwardLast(TinyLlama.Ids([1, 5], Devices.Cpu), cache)).Message);
        Assert.Throws<ShapeException>(() => model.ForwardLast(TinyLlama.Ids([2, 2], Devices.Cpu), cache));
        Assert.Throws<IndexException>(() => model.Forward(Tensor.From([37], [1, 1], Devices.Cpu)));
        Assert.Equal(0, cache.Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => model.CreateCache(1, 33));
        foreach (int position in (int[])[-1, 32, int.MaxValue])
            Assert.Contains("below 32", Assert.Throws<IndexException>(
                () => model.Forward(TinyLlama.Ids([1, 2], Devices.Cpu), positions: Tensor.From([0, position], [1, 2], Devices.Cpu))).Message);
        Assert.Throws<ShapeException>(() => model.Forward(TinyLlama.Ids([1, 2], Devices.Cpu), positions: Tensor.From([0, 1], [2], Devices.Cpu)));
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
