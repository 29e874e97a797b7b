using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn.Adapters;

/// <summary>Each row of a batch with its own adapter: what it computes is what the rows compute apart.</summary>
public sealed class AdapterRowsTests
{
    private static readonly string[] s_mixed = ["delora", PeftModel.BaseRow, "lora", "delora", "delora", PeftModel.BaseRow, "upper"];

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void RowsComputeWhatTheyComputeApart(string device)
    {
        using Adapted adapted = new(TestDevices.Get(device));
        foreach (int seq in (int[])[1, 5])
            foreach (string[] names in (string[][])[s_mixed, ["lora"], [PeftModel.BaseRow, PeftModel.BaseRow], ["upper", "lora"]])
            {
                float[] got;
                using (adapted.Peft.Rows(names).Use()) got = adapted.Logits(0, names.Length, seq);
                float[] want = [.. names.SelectMany((name, row) => adapted.LogitsWith(name, row, 1, seq))];
                double scale = want.Max(Math.Abs);
                Assert.Equal(want, got, (a, b) => Math.Abs(a - b) <= 1e-5 * scale);
                // Different adapters do compute different things.
                if (names.Distinct().Count() > 1) Assert.NotEqual(adapted.Logits(0, names.Length, seq), got, (a, b) => Math.Abs(a - b) <= 1e-3 * scale);
            }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void RowsOfOneAdapterComputeTheSameBits(string device)
    {
        using Adapted adapted = new(TestDevices.Get(device));
        foreach (string name in (string[])["delora", "lora", "upper", PeftModel.BaseRow])
            using (adapted.Peft.Rows([.. Enumerable.Repeat(name, 3)]).Use())
            {
                float[] got = adapted.Logits(0, 3, 4);
                // In this flow alone: another one sees the active adapters.
                Assert.Equal(adapted.Active, adapted.LogitsOfAnother(0, 3, 4));
                Assert.Equal(adapted.LogitsWith(name, 0, 3, 4), got);
            }
        Assert.Equal(adapted.Active, adapted.Logits(0, 3, 4));
    }

    [Fact]
    public void GradientsReachTheRowsOfTheActiveAdapter()
    {
        using Linear layer = new(4, 3, Devices.Reference, new Generator(1));
        using Sequential network = new(layer, Activation.Gelu(), new Linear(3, 2, Devices.Reference, new Generator(2)));
        using PeftModel model = new(network);
        DeloraConfig config = new() { R = 2, InitWeights = false, TargetModules = ModuleSelector.AllLinear };
        model.AddAdapter(config, new Generator(3), "one");
        model.AddAdapter(config with { R = 1 }, new Generator(4), "two");
        model.Activate("one", "two");
        using Tensor x = Tensor.From([.. Enumerable.Range(0, 20).Select(i => Math.Sin(i))], [5, 4], Devices.Reference, "x");
        AdapterRows rows = model.Rows("one", "two", PeftModel.BaseRow, "two", "one");
        GradientCheck.Numerical(
            () =>
            {
                using (rows.Use()) return network.Forward(x);
            },
            [.. model.TrainableParameters().Select(entry => entry.Parameter)], step: 1e-6, tolerance: 1e-5);
    }

    [Fact]
    public void DropoutActsOnEachAdaptersRowsInTrainingOnly()
    {
        using Linear layer = new(64, 64, Devices.Cpu, new Generator(1));
        using Sequential network = new(layer);
        using PeftModel model = new(network);
        model.AddAdapter(new LoraConfig { R = 2, InitWeights = false, LoraDropout = 0.5, TargetModules = ModuleSelector.AllLinear }, new Generator(3), "drops");
        using TensorScope scope = new();
        Tensor x = Tensor.From(Enumerable.Repeat(1f, 128).ToArray(), [2, 64], Devices.Cpu, "x");
        AdapterRows rows = model.Rows("drops", PeftModel.BaseRow);
        float[] Run()
        {
            using (rows.Use()) return network.Forward(x).ToArray<float>();
        }
        float[] plain = Run();
        network.Train();
        float[] dropped = Run();
        Assert.NotEqual(plain[..64], dropped[..64]);
        Assert.Equal(plain[64..], dropped[64..]);
        Assert.NotEqual(dropped, Run());
    }

    [Fact]
    public void WhatRowsCannotBeComputedWithIsRefused()
    {
        using Adapted adapted = new(Devices.Cpu);
        PeftModel model = adapted.Peft;
        Assert.Throws<ArgumentException>(() => model.Rows());
        Assert.Contains("__base__", Assert.Throws<ArgumentException>(() => model.Rows("nobody")).Message, StringComparison.Ordinal);
        AdapterRows rows = model.Rows(s_mixed);
        using (rows.Use()) Assert.Throws<ShapeException>(() => adapted.Logits(0, 3, 2));
        model.Merge();
        using (rows.Use()) Assert.Throws<InvalidOperationException>(() => adapted.Logits(0, 7, 2));
        model.Unmerge();
        using (model.Disable())
        using (rows.Use()) Assert.Equal(adapted.LogitsWith(PeftModel.BaseRow, 0, 7, 2), adapted.Logits(0, 7, 2));

        DeloraConfig config = new() { R = 1, TargetModules = ModuleSelector.Of("q_proj") };
        model.AddAdapter(config with { ModulesToSave = ["norm"] }, new Generator(1), "whole");
        model.AddAdapter(config with { Bias = AdapterBias.AdapterOnly }, new Generator(1), "bias");
        foreach (string name in (string[])["whole", "bias"]) Assert.Throws<NotSupportedException>(() => model.Rows("lora", name));
        model.Activate("whole");
        using (rows.Use()) Refused("'model.norm'");
        model.Activate();

        // An adapter that is gone is missed, also where another has taken its name.
        using (rows.Use()) adapted.Logits(0, 7, 2);
        model.Delete("lora");
        using (rows.Use()) Refused("'lora'");
        model.AddAdapter(config, new Generator(1), "lora");
        using (rows.Use()) Refused("'lora'");

        void Refused(string told) =>
            Assert.Contains(told, Assert.Throws<InvalidOperationException>(() => adapted.Logits(0, 7, 2)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void UsesNestAndOfTwoModelsEachHasItsOwn()
    {
        using Adapted one = new(Devices.Cpu), two = new(Devices.Cpu);
        float[] lora = one.LogitsWith("lora", 0, 2, 3), delora = one.LogitsWith("delora", 0, 2, 3), active = one.Logits(0, 2, 3);
        IDisposable outer = one.Peft.Rows("lora", "lora").Use();
        using (two.Peft.Rows("delora", "delora").Use())
        {
            Assert.Equal(lora, one.Logits(0, 2, 3));
            Assert.Equal(delora, two.Logits(0, 2, 3));
            using (one.Peft.Rows("delora", "delora").Use()) Assert.Equal(delora, one.Logits(0, 2, 3));
            // Closed out of order, it no longer acts.
            outer.Dispose();
            Assert.Equal(active, one.Logits(0, 2, 3));
        }
        Assert.Equal(active, one.Logits(0, 2, 3));
        Assert.Equal(active, two.Logits(0, 2, 3));
    }

    [Fact]
    public async Task TextsOfSeveralUsersAreGeneratedAtOnceEachWithItsAdapter()
    {
        using TinyModelFolder tiny = new();
        using CausalLanguageModel model = CausalLanguageModel.Load(tiny.Model, Devices.Cpu);
        using PeftModel peft = new(model);
        string[] names = ["anna", "ben", "carl"];
        foreach (string name in names)
            peft.Load(tiny.SaveAdapter(name, new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear }), name);
        foreach ((int number, string name) in names.Index())
            foreach ((_, IAdaptedLayer layer) in peft.AdaptedLayers)
                ((DeloraAdapter)layer.Adapters[name]).Lambda.Value.CopyFrom<float>([5f * (number + 1)]);
        TextGenerator generator = new(model, TextTokenizer.Load(tiny.Model));
        GenerationOptions options = new() { MaxNewTokens = 16, StopIds = [] };
        Dictionary<string, string> alone = [];
        foreach (string name in names)
        {
            peft.Activate(name);
            alone[name] = await generator.CompleteAsync("the cat", options, TestContext.Current.CancellationToken);
        }
        peft.Activate();
        alone[PeftModel.BaseRow] = await generator.CompleteAsync("the cat", options, TestContext.Current.CancellationToken);
        Assert.Equal(4, alone.Values.Distinct().Count());
        peft.Activate("ben");
        string[] wanted = [.. Enumerable.Range(0, 24).Select(i => alone.Keys.ElementAt(i % 4))];
        string[] texts = await Task.WhenAll(wanted.Select(name => Task.Run(
            () => generator.CompleteAsync("the cat", options with { Adapter = peft.Rows(name) }, TestContext.Current.CancellationToken),
            TestContext.Current.CancellationToken)));
        Assert.Equal(wanted.Select(name => alone[name]), texts);
        Assert.Equal(alone["ben"], await generator.CompleteAsync("the cat", options, TestContext.Current.CancellationToken));

        // In one batch, with prompts of different lengths.
        string[] prompts = ["the cat", "the rats sat on", "a", "the cat", "rats"], users = ["carl", PeftModel.BaseRow, "anna", "ben", "anna"];
        string[] together = ["", "", "", "", ""];
        await foreach ((int row, GeneratedToken token) in generator.GenerateAsync(
            prompts, options with { Adapter = peft.Rows(users) }, TestContext.Current.CancellationToken))
            together[row] += token.Text;
        for (int i = 0; i < prompts.Length; i++)
            Assert.Equal(
                await generator.CompleteAsync(prompts[i], options with { Adapter = peft.Rows(users[i]) }, TestContext.Current.CancellationToken), together[i]);
        await Assert.ThrowsAsync<ArgumentException>(
            () => generator.CompleteAsync("the cat", options with { Adapter = peft.Rows("anna", "ben") }, TestContext.Current.CancellationToken));
    }

    /// <summary>A language model with three adapters; the third sits on some layers only.</summary>
    private sealed class Adapted : IDisposable
    {
        private readonly LlamaForCausalLM _model;

        internal Adapted(Device device)
        {
            _model = LlamaForCausalLM.Create(TinyLlama.Config, device, new Generator(7));
            _model.Freeze();
            Peft = new PeftModel(_model);
            DeloraConfig config = new() { R = 3, DeloraLambda = 8, InitWeights = false, TargetModules = ModuleSelector.AllLinear };
            Peft.AddAdapter(config, new Generator(1), "delora");
            LoraConfig lora = new() { R = 2, LoraAlpha = 16, InitWeights = false, TargetModules = @".*(q_proj|up_proj|lm_head|embed_tokens)" };
            Peft.AddAdapter(lora, new Generator(2), "lora");
            Peft.AddAdapter(config with { R = 1, TargetModules = ModuleSelector.Of("down_proj"), LayersToTransform = [1] }, new Generator(3), "upper");
            Peft.Activate("delora", "lora");
            Active = Logits(0, 3, 4);
        }

        internal PeftModel Peft { get; }

        /// <summary>What the active adapters compute, both of them.</summary>
        internal float[] Active { get; }

        internal float[] Logits(int first, int rows, int seq)
        {
            using IDisposable pause = Tape.Pause();
            int vocabulary = TinyLlama.Config.VocabSize;
            int[] ids = [.. Enumerable.Range(first * seq, rows * seq).Select(i => (i * i + 3) % vocabulary)];
            return _model.Forward(Tensor.From(ids, [rows, seq], _model.Device, "ids")).ToArray<float>();
        }

        /// <summary>The same as another request computes it, whatever this one has chosen.</summary>
        internal float[] LogitsOfAnother(int first, int rows, int seq)
        {
            // A thread without this flow's context; a task that is waited for may run within it.
            float[] logits = [];
            Thread other = new(() => logits = Logits(first, rows, seq));
            other.UnsafeStart();
            other.Join();
            return logits;
        }

        /// <summary>The same with one adapter active.</summary>
        internal float[] LogitsWith(string name, int first, int rows, int seq)
        {
            Peft.Activate(name == PeftModel.BaseRow ? [] : [name]);
            try
            {
                return LogitsOfAnother(first, rows, seq);
            }
            finally
            {
                Peft.Activate("delora", "lora");
            }
        }

        public void Dispose()
        {
            Peft.Dispose();
            _model.Dispose();
        }
    }
}
