using System.Diagnostics.CodeAnalysis;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;
using Delora.Tests.Ptx;

namespace Delora.Tests.Nn;

/// <summary>The plan of a run is what the run then takes, to the byte.</summary>
[SuppressMessage("Usage", "xUnit1051", Justification = "The runs take milliseconds.")]
public sealed class MemoryPlanTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, FrozenStorage, bool> Storages =>
        [.. from family in (string[])["llama", "gpt2", "bert", "tokens"]
            from storage in Enum.GetValues<FrozenStorage>() from checkpointing in (bool[])[false, true] select (family, storage, checkpointing)];

    public static TheoryData<string, string> Variants =>
        [.. from family in (string[])["llama", "bert", "tokens"]
            from variant in (string[])
                ["batch of 1", "batch of 7", "accumulation", "no clipping", "evaluation", "dropout", "lora", "biases", "whole module", "residual", "bounds",
                 "range of λ", "both directions"]
            select (family, variant)];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Storages))]
    public void ThePlanIsThePeakInEveryStorage(string family, FrozenStorage storage, bool checkpointing)
    {
        using var cpu = new CpuDevice(2);
        Compare(family, cpu, Options(family), new() { Storage = storage }, checkpointing);
    }

    [Theory, MemberData(nameof(Variants))]
    public void ThePlanIsThePeakWhateverIsTrained(string family, string variant)
    {
        FineTuningOptions options = Options(family);
        var delora = (DeloraConfig)options.Adapter;
        options = variant switch
        {
            "batch of 1" => options with { BatchSize = 1 },
            "batch of 7" => options with { BatchSize = 7 },
            "accumulation" => options with { GradientAccumulation = 3 },
            "no clipping" => options with { MaxGradientNorm = 0 },
            "evaluation" => options with { EvaluateEvery = 2, BatchSize = 2 },
            "dropout" => options with { Adapter = delora with { ModuleDropout = 0.3 } },
            "lora" => options with
            {
                Adapter = new LoraConfig { R = 3, TargetModules = ModuleSelector.AllLinear, LoraDropout = 0.2, TaskType = delora.TaskType },
            },
            "biases" => options with { Adapter = delora with { Bias = AdapterBias.All } },
            "whole module" => options with { Adapter = delora with { ModulesToSave = [family == "llama" ? "lm_head" : "classifier"] } },
            "residual" => options with { Adapter = delora with { ResidualInitialization = true } },
            "bounds" => options with { MeasureBoundsEvery = 2, Lambda = new() { LearningRate = 0.1, WarmupSteps = 2 } },
            "range of λ" => options with { Lambda = new() { Min = 1.9, Max = 2.05 } },
            _ => options,
        };
        var frozen = new FrozenWeightOptions { Directions = variant == "both directions" ? FrozenDirections.Both : FrozenDirections.One };
        foreach (int threads in (int[])[1, 3])
        {
            using var cpu = new CpuDevice(threads);
            Compare(family, cpu, options, frozen, checkpointing: false, evaluates: variant == "evaluation");
        }
    }

    /// <summary>One context for all: it compiles its kernels once.</summary>
    [Fact]
    public void ThePlanIsThePeakOnTheSimulator()
    {
        using GpuDevice simulator = Devices.CreateSimulator();
        foreach ((string family, FrozenStorage storage) in ((string, FrozenStorage)[])[("llama", FrozenStorage.Nf4), ("gpt2", FrozenStorage.Float32)])
        {
            FineTuningOptions options = Options(family) with { Steps = 1, BatchSize = 2 };
            Compare(family, simulator, options, new() { Storage = storage }, checkpointing: storage == FrozenStorage.Nf4, small: true);
            simulator.Memory.Trim();
            simulator.Memory.ResetPeak();
        }
    }

    /// <summary>Recorded passes keep the blocks that they write: a card must have those as well.</summary>
    [Theory, MemberData(nameof(TestDevices.CudaNames), MemberType = typeof(TestDevices))]
    public void GraphsNeedWhatIsKeptForThem(string name)
    {
        Save("llama", small: true);
        string folder = _folder.File("model");
        Device card = TestDevices.Get(name);
        FineTuningOptions options = Options("llama") with { BatchSize = 2 };
        MemoryPlan recorded = FineTuner.Plan(folder, card, Blocks(), options);
        MemoryPlan plain = FineTuner.Plan(folder, card, Blocks(), options with { UseCudaGraph = false });
        Assert.Equal((true, recorded.ReservedBytes), (recorded.CountsReserved, recorded.RequiredBytes));
        Assert.Equal((false, Math.Max(plain.PeakBytes, plain.LoadPeakBytes)), (plain.CountsReserved, plain.RequiredBytes));
        Assert.True(recorded.RequiredBytes > plain.RequiredBytes);
    }

    /// <summary>With batches of several lengths, each of which is recorded.</summary>
    [Fact]
    public void ARunWithGraphsTakesAboutWhatWasPlanned()
    {
        Save("llama", small: true);
        using GpuDevice gpu = InterpretedDevice.Start(PtxMachineDriver.Hopper, "planned");
        FineTuningOptions options = Options("llama") with { Steps = 9, BatchSize = 2 };
        MemoryPlan plan = FineTuner.Plan(_folder.File("model"), gpu, Examples(), options);
        using CausalLanguageModel model = CausalLanguageModel.Load(_folder.File("model"), gpu);
        using var tuner = new FineTuner(model, Examples(), options);
        tuner.Run();
        Assert.True(tuner.Recorded is { Replayed: > 2, ReplayedSteps: > 2 });
        Assert.InRange(gpu.Memory.Statistics.PeakBytesReserved, 0.8 * plan.RequiredBytes, 1.15 * plan.RequiredBytes);
    }

    /// <summary>Whether rounding loses anything is known of the numbers alone: the norms of columns, which are kept then, are planned.</summary>
    [Fact]
    public void NormsThatTurnOutToBeNeedlessArePlanned()
    {
        Save("llama", storeAs: DType.BFloat16);
        using var cpu = new CpuDevice(2);
        var frozen = new FrozenWeightOptions { Storage = FrozenStorage.Float16 };
        MemoryPlan plan = FineTuner.Plan(_folder.File("model"), cpu, Blocks(), Options("llama"), frozen: frozen);
        using CausalLanguageModel model = CausalLanguageModel.Load(_folder.File("model"), cpu, frozen: frozen);
        using var tuner = new FineTuner(model, Blocks(), Options("llama"));
        FrozenLayer[] exact = [.. FrozenWeightReport.Of(model).Layers.Where(layer => layer.Error.Largest == 0)];
        Assert.NotEmpty(exact);
        long norms = exact.Sum(layer => DeviceAllocator.SizeClass(layer.Shape[1] * sizeof(float)));
        Assert.Equal(cpu.Memory.Statistics.BytesInUse + norms, plan.KeptBytes);
    }

    [Fact]
    public void TheReferenceDeviceIsNotPlanned() =>
        Assert.Contains("reference", Assert.Throws<DeviceException>(() => Devices.Planning(Devices.Reference)).Message, StringComparison.Ordinal);

    /// <summary>Sizes of a model of 1.2 billion parameters, by the headers of a file that has no data.</summary>
    [Theory, InlineData(FrozenStorage.BFloat16, 16), InlineData(FrozenStorage.Nf4, 4.5)]
    public void ALargeModelIsPlannedByItsHeadersAlone(FrozenStorage storage, double bits)
    {
        LlamaConfig config = LargeModel.Save(_folder.File("large"));
        var rows = new TokenBlocks(Enumerable.Range(0, 4 * 256 + 1).Select(i => i % 1000), 256);
        var options = new FineTuningOptions { Adapter = new DeloraConfig { R = 16, TargetModules = ModuleSelector.AllLinear }, Steps = 4, BatchSize = 2 };
        using var cpu = new CpuDevice(2);
        MemoryPlan plan = FineTuner.Plan(_folder.File("large"), cpu, rows, options, frozen: new() { Storage = storage });
        long head = (long)config.VocabSize * config.HiddenSize, linear = config.ParameterCount - head - (2L * config.NumHiddenLayers + 1) * config.HiddenSize;
        Assert.InRange(plan.FrozenBytes, linear * bits / 8 + (storage.IsQuantized ? head * (16 - bits) / 8 : 0), 1.01 * (linear * bits / 8 + head * 2));
        Assert.True(plan.PeakBytes > plan.KeptBytes && plan.KeptBytes > plan.FrozenBytes);
        // Parameters begin at whole cache lines of their arena.
        Assert.InRange(plan.OptimizerBytes, 2 * plan.TrainedBytes, 2.01 * plan.TrainedBytes);
        // Checkpointing and a smaller batch save; the weights stay.
        MemoryPlan less = FineTuner.Plan(_folder.File("large"), cpu, rows, options, frozen: new() { Storage = storage }, checkpointing: true);
        Assert.Equal(plan.KeptBytes, less.KeptBytes);
        Assert.True(less.ActivationBytes < plan.ActivationBytes / 2);
        Assert.Equal(0, cpu.Memory.Statistics.SystemAllocations);
    }

    [Fact]
    public void AFileThatIsNoModelIsRefusedAsByLoading()
    {
        Save("llama");
        string file = _folder.File("model/model.safetensors");
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^5]);
        using var cpu = new CpuDevice(1);
        Assert.Throws<DeloraFormatException>(() => FineTuner.Plan(_folder.File("model"), cpu, Blocks(), Options("llama")));
        Save("bert");
        Assert.Throws<DeloraFormatException>(() => FineTuner.Plan(_folder.File("model"), cpu, Blocks(), Options("llama")));
    }

    private static FineTuningOptions Options(string family) => new()
    {
        Adapter = new DeloraConfig
        {
            R = 3,
            DeloraLambda = 2,
            TargetModules = ModuleSelector.AllLinear,
            TaskType = family switch { "bert" => "SEQ_CLS", "tokens" => "TOKEN_CLS", _ => "CAUSAL_LM" },
        },
        Steps = 4,
        BatchSize = 3,
        LearningRate = 0.01,
        SaveEvery = 2,
        Seed = 5,
    };

    /// <summary>Examples of several lengths, of which a part counts.</summary>
    private static TokenRows Examples() => new TokenExamples(
        [.. Enumerable.Range(0, 9).Select(i => (Enumerable.Range(0, 5 + 2 * i).Select(j => (i * j) % 37).ToArray(), i % 4))], padding: 0);

    private static TokenBlocks Blocks() => new(Enumerable.Range(0, 200).Select(i => (i * i) % 37), 19);

    private static ClassificationRows Texts(EncoderConfig config) => ClassificationRows.Of(
        config, TinyEncoder.Texts(3, [.. Enumerable.Range(0, 11).Select(i => 2 + i % 6)]), Enumerable.Range(0, 11).Select(i => i % 3));

    /// <summary>Texts of several lengths, whose first tokens and some others do not count.</summary>
    private static TokenClassificationRows Words(EncoderConfig config)
    {
        EncodedText[] texts = TinyEncoder.Texts(3, [.. Enumerable.Range(0, 11).Select(i => 2 + i % 6)]);
        return TokenClassificationRows.Of(
            config, texts, texts.Select((text, row) => text.Ids.Select((id, i) => i == 0 || (i > 1 && (i + row) % 3 == 0) ? -100 : id % 3).ToArray()));
    }

    private void Save(string family, bool small = false, DType storeAs = DType.Float32)
    {
        if (Directory.Exists(_folder.File("model"))) Directory.Delete(_folder.File("model"), recursive: true);
        using PretrainedModel model = family switch
        {
            "llama" when small => TinyLlama.Create(),
            "gpt2" when small => TinyGPT2.Create(),
            "llama" => TinyLlama.Create(TinyLlama.Config with { HiddenSize = 96, IntermediateSize = 200, AttentionBias = true, NumHiddenLayers = 3 }),
            "gpt2" => TinyGPT2.Create(TinyGPT2.Config with { HiddenSize = 80, InnerSize = 320 }),
            "tokens" => TokenClassifier.Create(Encoder(EncoderHead.TokenClassification), Devices.Cpu, new Generator(7)),
            _ => TinyEncoder.Classifier(Encoder(EncoderHead.SequenceClassification) with { Problem = ClassificationProblem.SingleLabel }),
        };
        model.Save(_folder.File("model"), storeAs);

        static EncoderConfig Encoder(EncoderHead head) =>
            TinyEncoder.Config(BertConfig.Family, head) with { HiddenSize = 72, IntermediateSize = 144, HiddenDropoutProb = 0.1 };
    }

    private void Compare(
        string family, Device device, FineTuningOptions options, FrozenWeightOptions frozen, bool checkpointing, bool evaluates = false,
        bool small = false)
    {
        // Numbers that a file has in few bits may lose nothing: then less is remembered of the weight.
        Save(family, small, !checkpointing ? DType.Float32 : frozen.Storage == FrozenStorage.Float16 ? DType.Float16 : DType.BFloat16);
        string folder = _folder.File("model"), output = _folder.File($"out {Guid.NewGuid():N}");
        MemoryPlan plan;
        AllocatorStatistics loaded;
        if (family == "bert")
        {
            var config = (EncoderConfig)ModelConfig.Load(folder);
            ClassificationRows rows = Texts(config);
            ClassificationRows? evaluation = evaluates ? Texts(config) : null;
            plan = ClassifierTuner.Plan(folder, device, rows, options, evaluation, frozen, checkpointing);
            using var model = (SequenceClassifier)PretrainedModel.Load(folder, device, frozen: frozen);
            model.Checkpointing = checkpointing;
            using var tuner = new ClassifierTuner(model, rows, options, evaluation);
            loaded = Run(tuner);
        }
        else if (family == "tokens")
        {
            var config = (EncoderConfig)ModelConfig.Load(folder);
            TokenClassificationRows rows = Words(config);
            TokenClassificationRows? evaluation = evaluates ? Words(config) : null;
            plan = TokenClassifierTuner.Plan(folder, device, rows, options, evaluation, frozen, checkpointing);
            using var model = (TokenClassifier)PretrainedModel.Load(folder, device, frozen: frozen);
            model.Checkpointing = checkpointing;
            using var tuner = new TokenClassifierTuner(model, rows, options, evaluation);
            loaded = Run(tuner);
        }
        else
        {
            // Rows of one length for the one, of several for the other.
            TokenRows rows = family == "gpt2" ? Blocks() : Examples();
            TokenRows? evaluation = evaluates ? Examples() : null;
            plan = FineTuner.Plan(folder, device, rows, options, evaluation, frozen, checkpointing);
            using CausalLanguageModel model = CausalLanguageModel.Load(folder, device, frozen: frozen);
            model.Checkpointing = checkpointing;
            using var tuner = new FineTuner(model, rows, options, evaluation);
            loaded = Run(tuner);
        }
        AllocatorStatistics trained = device.Memory.Statistics;
        Assert.Equal((loaded.PeakBytesInUse, loaded.BytesInUse, trained.PeakBytesInUse), (plan.LoadPeakBytes, plan.KeptBytes, plan.PeakBytes));
        Assert.True(plan.RoundingBytes >= 0 && plan.ActivationBytes > 0, $"{plan}");
        // Which blocks are free for reuse depends on the order of the batches, of which the plan takes the largest once.
        Assert.InRange(plan.ReservedBytes, 0.9 * trained.PeakBytesReserved, 1.1 * trained.PeakBytesReserved);

        AllocatorStatistics Run<TModel, TBatch, TEvaluation>(FineTuner<TModel, TBatch, TEvaluation> tuner) where TModel : PretrainedModel
        {
            AllocatorStatistics before = device.Memory.Statistics;
            device.Memory.ResetPeak();
            tuner.BoundsMeasured += (_, _) => { };
            tuner.Run(output);
            return before;
        }
    }
}
