using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn.Models;

/// <summary>Models whose linear layers are kept in each storage: loaded, trained, merged, saved.</summary>
public sealed class FrozenModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<FrozenStorage> Storages => [.. PlainStorage.All];

    public static TheoryData<string, FrozenStorage> DevicesAndStorages => FrozenStorageTests.DevicesAndStorages;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(FrozenStorage.Float32, "float32 × 15")]
    [InlineData(FrozenStorage.BFloat16, "bfloat16 × 15")]
    [InlineData(FrozenStorage.Int8, "bfloat16 × 1, int8 × 14")]
    [InlineData(FrozenStorage.Nf4, "bfloat16 × 1, nf4 × 14")]
    public void QuantizingLeavesTheOutputLayerAsItIsInTheFile(FrozenStorage storage, string storages)
    {
        foreach (bool tied in (bool[])[false, true])
        {
            string model = Save(DType.BFloat16, tied);
            using CausalLanguageModel loaded = Load(model, new() { Storage = storage });
            FrozenWeightReport report = FrozenWeightReport.Of(loaded);
            Assert.Equal(storages, report.Storages);
            Assert.Equal(storage.IsQuantized, report.Error.Largest > 0);
            Assert.Equal(0, report.Layers.Single(layer => layer.Name == "lm_head").Error.Largest);
            Assert.Equal(report.Layers.Sum(layer => layer.ByteLength), report.ByteLength);
            // A table of its own and norms are no frozen linear layers.
            int norms = 5 * TinyLlama.Config.HiddenSize, table = tied ? 0 : loaded.Config.VocabSize * TinyLlama.Config.HiddenSize;
            Assert.Equal((norms + table) * sizeof(float), report.ParameterLength);
        }
        string again = Save(DType.BFloat16, false);
        using CausalLanguageModel all = Load(again, new() { Storage = storage, OutputStorage = storage });
        Assert.Equal($"{storage.Name} × 15", FrozenWeightReport.Of(all).Storages);
    }

    [Theory, InlineData(DType.BFloat16), InlineData(DType.Float16), InlineData(DType.Float32)]
    public void AsStoredLosesNothingAndSavesTheSameNumbers(DType type)
    {
        foreach (bool tied in (bool[])[false, true])
        {
            string folder = Save(type, tied), saved = _folder.File($"saved {type} {tied}");
            using (CausalLanguageModel plain = Load(folder, FrozenWeightOptions.Default), stored = Load(folder, new() { Storage = FrozenStorage.AsStored }))
            {
                FrozenWeightReport report = FrozenWeightReport.Of(stored);
                Assert.All(report.Layers, layer => Assert.Equal((type.Name, 0.0), (layer.Storage.Name, layer.Error.Largest)));
                using var scope = new TensorScope("test");
                Tensor ids = TinyLlama.Ids([2, 5], Devices.Cpu);
                Assert.Equal(plain.Forward(ids).ToArray<float>(), stored.Forward(ids).ToArray<float>());
                Assert.Equal(plain.Fingerprint(), stored.Fingerprint());
                stored.Save(saved);
            }
            using WeightFiles before = WeightFiles.Open(folder), after = WeightFiles.Open(saved);
            foreach (SafetensorsEntry entry in before.Entries)
            {
                using Tensor one = before.ReadFloat(entry.Name, Devices.Cpu), other = after.ReadFloat(entry.Name, Devices.Cpu);
                Assert.Equal(one.ToArray<float>().Select(BitConverter.SingleToInt32Bits), other.ToArray<float>().Select(BitConverter.SingleToInt32Bits));
            }
        }
    }

    /// <summary>The loss and the gradients of adapters through the kept weights are those of a model that has these very numbers.</summary>
    [Theory, MemberData(nameof(DevicesAndStorages))]
    public void GradientsGoThroughTheKeptWeights(string name, FrozenStorage storage)
    {
        Device device = TestDevices.Get(name);
        double[][] results = new double[2][];
        for (int i = 0; i < 2; i++)
        {
            using LlamaForCausalLM model = TinyLlama.Create(device: device, freeze: false);
            model.Freeze(new FrozenWeightOptions { Storage = storage, OutputStorage = storage });
            if (i == 1)
            {
                // The same numbers in float32: what was rounded is written back to a model that rounds nothing.
                using LlamaForCausalLM plain = TinyLlama.Create(device: device);
                using (var scope = new TensorScope("copy"))
                    foreach (((_, ModuleState from), (_, ModuleState to)) in model.NamedState().Zip(plain.NamedState())) to.Write(from.Read());
                results[i] = Gradients(plain, OriginalNorms(model));
                continue;
            }
            results[i] = Gradients(model, null);
        }
        OpTesting.Close(results[1], results[0], device is ReferenceDevice ? 1e-12 : 2e-5);
    }

    /// <summary>DeLoRA's w is that of the weights before they were quantized.</summary>
    [Theory, MemberData(nameof(Storages))]
    public void ColumnNormsAreThoseOfTheOriginalWeights(FrozenStorage storage)
    {
        using LlamaForCausalLM plain = TinyLlama.Create(), kept = TinyLlama.Create(freeze: false);
        kept.Freeze(new FrozenWeightOptions { Storage = storage });
        foreach (((string name, Module one), (_, Module other)) in plain.NamedModules().Zip(kept.NamedModules()))
        {
            if (one is not Linear layer) continue;
            using Tensor expected = layer.Adapters.BaseColumnNorms(), found = ((Linear)other).Adapters.BaseColumnNorms();
            Assert.True(expected.ToArray<float>().AsSpan().SequenceEqual(found.ToArray<float>()), name);
        }
    }

    [Theory, InlineData(FrozenStorage.Int8), InlineData(FrozenStorage.Nf4)]
    public void AQuantizedBaseIsMergedIntoOnlyInFloat32(FrozenStorage storage)
    {
        using LlamaForCausalLM model = TinyLlama.Create(freeze: false);
        model.Freeze(new FrozenWeightOptions { Storage = storage });
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear, InitWeights = false }, new Generator(3));
        using var scope = new TensorScope("test");
        Tensor ids = TinyLlama.Ids([1, 6], Devices.Cpu);
        float[] adapted = model.Forward(ids).ToArray<float>();
        long bytes = FrozenWeightReport.Of(model).ByteLength;

        string told = Assert.Throws<QuantizedWeightException>(() => peft.Merge()).Message;
        Assert.Contains(storage.Name, told);
        Assert.Contains("dequantize", told);
        Assert.Equal(adapted, model.Forward(ids).ToArray<float>());

        peft.Merge(dequantize: true);
        Assert.Equal("float32 × 15", FrozenWeightReport.Of(model).Storages); // the output layer of a model without a file was float32
        OpTesting.Close([.. adapted.Select(x => (double)x)], model.Forward(ids).ToArray<double>(), 1e-5);
        peft.Unmerge();
        Assert.Equal(bytes, FrozenWeightReport.Of(model).ByteLength);
        Assert.Equal(adapted, model.Forward(ids).ToArray<float>());
    }

    [Fact]
    public void ABaseOf16BitsStaysOneWhenMergedInto()
    {
        using LlamaForCausalLM model = TinyLlama.Create(freeze: false);
        model.Freeze(new FrozenWeightOptions { Storage = FrozenStorage.BFloat16 });
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, InitWeights = false }, new Generator(3));
        using var scope = new TensorScope("test");
        Tensor ids = TinyLlama.Ids([1, 6], Devices.Cpu);
        float[] adapted = model.Forward(ids).ToArray<float>();
        float[] plain;
        using (peft.Disable()) plain = model.Forward(ids).ToArray<float>();
        peft.Merge();
        Assert.Equal("bfloat16 × 15", FrozenWeightReport.Of(model).Storages);
        float[] merged = model.Forward(ids).ToArray<float>();
        Assert.InRange(Distance(merged, adapted), 1e-6, Distance(plain, adapted) / 20);
        peft.Unmerge();
        Assert.Equal(adapted, model.Forward(ids).ToArray<float>());

        static double Distance(float[] a, float[] b) => Math.Sqrt(a.Zip(b, (x, y) => Math.Pow(x - (double)y, 2)).Sum());
    }

    [Theory, InlineData(FrozenStorage.BFloat16), InlineData(FrozenStorage.Int8)]
    public void OneMergedAfterTheOtherIsBothMergedAtOnceAndAFailureChangesNothing(FrozenStorage storage)
    {
        using LlamaForCausalLM model = TinyLlama.Create(freeze: false);
        model.Freeze(new FrozenWeightOptions { Storage = storage });
        using var peft = new PeftModel(model);
        foreach ((string name, ulong seed) in (KeyValuePair<string, ulong>[])[new("a", 3), new("b", 4), new("broken", 5)])
            peft.AddAdapter(new DeloraConfig { R = 2, InitWeights = false }, new Generator(seed), name);
        // The last layer that is merged into cannot be.
        LinearAdapter last = peft.AdaptedLayers.Last().Layer.Adapters["broken"];
        last.Parameters.First().Parameter.Value.CopyFrom<float>([.. Enumerable.Repeat(float.NaN, (int)last.Parameters.First().Parameter.Value.ElementCount)]);
        using var scope = new TensorScope("test");
        Tensor ids = TinyLlama.Ids([1, 6], Devices.Cpu);
        peft.Merge(["a", "b"], dequantize: storage.IsQuantized);
        float[] both = model.Forward(ids).ToArray<float>();
        peft.Unmerge();
        peft.Merge(["a"], dequantize: storage.IsQuantized);
        peft.Merge(["b"], dequantize: storage.IsQuantized);
        Assert.Equal(both, model.Forward(ids).ToArray<float>());
        Assert.Throws<NonFiniteException>(() => peft.Merge(["broken"], dequantize: storage.IsQuantized));
        Assert.Equal(["a", "b"], peft.MergedAdapters);
        Assert.Equal(both, model.Forward(ids).ToArray<float>());
    }

    [Fact]
    public void WhatIsKeptIsNotRoundedTwice()
    {
        using LlamaForCausalLM model = TinyLlama.Create(freeze: false);
        model.Freeze(new FrozenWeightOptions { Storage = FrozenStorage.BFloat16 });
        model.Freeze(new FrozenWeightOptions { Storage = FrozenStorage.BFloat16, Directions = FrozenDirections.Both });
        Assert.Contains("rounded twice",
            Assert.Throws<InvalidOperationException>(() => model.Freeze(new FrozenWeightOptions { Storage = FrozenStorage.Nf4 })).Message);
        Assert.Throws<ArgumentException>(() =>
        {
            using LlamaForCausalLM other = TinyLlama.Create(freeze: false);
            other.Freeze(new FrozenWeightOptions { Storage = FrozenStorage.Nf4, Directions = FrozenDirections.Both });
        });
    }

    /// <summary>QLoRA's way, with DeLoRA: the base in 4 bits, gradients through it, adapters in float32.</summary>
    [Theory, InlineData(FrozenStorage.Nf4), InlineData(FrozenStorage.Int8)]
    public void TrainingOnAQuantizedBaseReducesTheLoss(FrozenStorage storage)
    {
        using LlamaForCausalLM model = TinyLlama.Create(freeze: false);
        model.Freeze(new FrozenWeightOptions { Storage = storage });
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 4, TargetModules = ModuleSelector.AllLinear }, new Generator(3));
        using var optimizer = new AdamW(peft.TrainableParameters().Select(entry => entry.Parameter), 2e-2);
        using Tensor ids = TinyLlama.Ids([4, 9], Devices.Cpu), targets = TinyLlama.Ids([4, 9], Devices.Cpu);
        string base0 = model.Fingerprint();
        double[] losses = [.. Enumerable.Range(0, 40).Select(_ =>
        {
            optimizer.ZeroGradients();
            using var tape = new Tape();
            Tensor loss = model.Loss(ids, targets);
            tape.Backward(loss);
            double value = loss.ToScalar();
            optimizer.Step();
            return value;
        })];
        Assert.True(losses[^1] < 0.7 * losses[0], $"from {losses[0]} to {losses[^1]}");
        Assert.Equal(base0, model.Fingerprint());
    }

    /// <summary>Also where the numbers are the same, as those of a bfloat16 file are in float32.</summary>
    [Theory]
    [InlineData(FrozenStorage.AsStored, FrozenStorage.Float32, "weights was bfloat16 × 15, is not set")]
    [InlineData(FrozenStorage.Nf4, FrozenStorage.AsStored, "weights was bfloat16 × 1, nf4 × 14, is bfloat16 × 15")]
    public void ARunGoesOnWithTheSameStorageOnly(FrozenStorage first, FrozenStorage second, string told)
    {
        string folder = Save(DType.BFloat16, false), output = _folder.File($"run {first}");
        Run(first, steps: 4, output, resume: false);
        Assert.Equal(4, Run(first, steps: 4, output, resume: true));
        Assert.Contains(told, Assert.Throws<DeloraFormatException>(() => Run(second, steps: 4, output, resume: true)).Message);

        int Run(FrozenStorage storage, int steps, string output, bool resume)
        {
            using CausalLanguageModel model = Load(folder, new() { Storage = storage });
            int[] tokens = [.. Enumerable.Range(0, 40).Select(i => i * 7 % TinyLlama.Config.VocabSize)];
            var options = new FineTuningOptions { Adapter = new DeloraConfig { R = 2 }, Steps = steps, BatchSize = 2, SaveEvery = 2 };
            using var tuner = new FineTuner(model, new TokenBlocks(tokens, 8), options);
            return tuner.Run(output, resume).Steps;
        }
    }

    [Theory]
    [InlineData("llama", "lm_head.weight")]
    [InlineData("llama", "model.layers.1.mlp.up_proj.weight")]
    [InlineData("llama", "model.embed_tokens.weight")]
    [InlineData("gemma", "model.layers.1.mlp.up_proj.weight")]
    public void ARefusedWeightLeavesNothingBehind(string family, string spoiled)
    {
        bool tied = spoiled.Contains("embed", StringComparison.Ordinal);
        string folder = family == "gemma" ? Save(DType.Float32, TinyDecoders.Gemma, spoiled) : Save(DType.Float32, tied, spoiled);
        long blocks = Devices.Cpu.Memory.Statistics.LiveAllocations;
        Assert.Contains(spoiled, Assert.Throws<NonFiniteException>(
            () => CausalLanguageModel.Load(folder, Devices.Cpu, _ => { }, frozen: new() { Storage = FrozenStorage.Nf4, OutputStorage = FrozenStorage.Nf4 }))
            .Message);
        Assert.Contains(spoiled, Assert.Throws<DeloraFormatException>(() => CausalLanguageModel.Load(folder, Devices.Cpu, strict: true)).Message);
        Assert.Equal(blocks, Devices.Cpu.Memory.Statistics.LiveAllocations);
    }

    [Fact]
    public void AModelOfFewBitsIsNeverThereInFloat32()
    {
        string folder = _folder.File("wide");
        LlamaConfig config = TinyLlama.Config with { HiddenSize = 128, IntermediateSize = 256, NumHiddenLayers = 8, TieWordEmbeddings = true };
        using (LlamaForCausalLM model = LlamaForCausalLM.Create(config, Devices.Cpu, new Generator(7))) model.Save(folder);
        using var cpu = new CpuDevice(2);
        using (CausalLanguageModel model = CausalLanguageModel.Load(folder, cpu, frozen: new() { Storage = FrozenStorage.Nf4 }))
        {
            long most = cpu.Memory.Statistics.PeakBytesInUse, all = 4 * config.ParameterCount;
            Assert.True(most < all / 3, $"{most} bytes were in use, {all} are the parameters in float32");
        }
    }

    private static CausalLanguageModel Load(string folder, FrozenWeightOptions options) =>
        CausalLanguageModel.Load(folder, Devices.Cpu, frozen: options);

    /// <summary>Loss and gradients of adapters with given column norms, or the model's own.</summary>
    private static double[] Gradients(LlamaForCausalLM model, List<double[]>? norms)
    {
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear, InitWeights = false }, new Generator(3));
        if (norms is not null)
            foreach (((_, IAdaptedLayer layer), double[] norm) in peft.AdaptedLayers.Zip(norms))
                ((DeloraAdapter)layer.Adapters["default"]).ColumnNorms.CopyFrom<double>(norm);
        using Tensor ids = TinyLlama.Ids([2, 5], model.Device), targets = TinyLlama.Ids([2, 5], model.Device);
        using var tape = new Tape();
        Tensor loss = model.Loss(ids, targets);
        tape.Backward(loss);
        return [loss.ToScalar(), .. peft.TrainableParameters().SelectMany(entry => entry.Parameter.Gradient!.ToArray<double>())];
    }

    private static List<double[]> OriginalNorms(LlamaForCausalLM model)
    {
        List<double[]> norms = [];
        foreach ((string name, Module module) in model.NamedModules())
        {
            if (module is not Linear layer || name == "lm_head") continue;
            using Tensor norm = layer.Adapters.BaseColumnNorms();
            norms.Add(norm.ToArray<double>());
        }
        return norms;
    }

    /// <summary>Saves a tiny model whose file has numbers of that type.</summary>
    private string Save(DType type, bool tied, string? spoiled = null) =>
        Save(type, TinyLlama.Config with { TieWordEmbeddings = tied, NumHiddenLayers = 2 }, spoiled);

    private string Save(DType type, DecoderConfig config, string? spoiled)
    {
        string folder = _folder.File($"model {type} {config.TieWordEmbeddings} {spoiled is null}");
        using DecoderForCausalLM model = config is LlamaConfig llama ? TinyLlama.Create(llama) : TinyDecoders.Create(config);
        model.Save(folder);
        Dictionary<string, Tensor> tensors = [];
        using var scope = new TensorScope("test");
        foreach ((string name, ModuleState state) in model.NamedState())
        {
            Tensor from = state.Read(), to = Tensor.Empty(from.Shape, type, Devices.Cpu, name);
            if (name == spoiled)
            {
                float[] numbers = from.ToArray<float>();
                numbers[5] = float.PositiveInfinity;
                from.CopyFrom<float>(numbers);
            }
            if (type == DType.Float32) to.CopyFrom(from);
            else CastKernel.Forward(from, to);
            tensors.Add(name, to);
        }
        SafetensorsFile.Write(Path.Combine(folder, WeightFiles.SingleName), tensors);
        return folder;
    }
}
