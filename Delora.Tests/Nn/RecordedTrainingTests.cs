using System.Diagnostics.CodeAnalysis;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn;

/// <summary>Training on CUDA gives the same bits whether its passes are recorded and replayed or launched one by one.</summary>
[SuppressMessage("Usage", "xUnit1051", Justification = "The runs take a second.")]
public sealed class RecordedTrainingTests
{
    private const int Vocabulary = 37;

    public static TheoryData<string, string> Runs =>
        TestDevices.CudaNames.With("plain", "accumulation", "dropout", "lora", "checkpointing", "nf4", "evaluations");

    public static TheoryData<string> Cards => TestDevices.CudaNames;

    [Theory, MemberData(nameof(Runs))]
    public void ARunWithGraphsEndsWithTheBitsOfOneWithout(string name, string variant)
    {
        (List<double> Losses, List<float[]> Values, long Replayed) eager = Run(useGraph: false), recorded = Run(useGraph: true);
        Assert.Equal(0, eager.Replayed);
        Assert.Equal(eager.Losses, recorded.Losses);
        Assert.Equal(eager.Values, recorded.Values);

        (List<double>, List<float[]>, long) Run(bool useGraph)
        {
            Device device = TestDevices.Get(name);
            FineTuningOptions options = Options(variant) with { UseCudaGraph = useGraph };
            using LlamaForCausalLM model = Model(device, freeze: variant != "nf4");
            if (variant == "nf4") model.Freeze(new FrozenWeightOptions { Storage = FrozenStorage.Nf4, OutputStorage = FrozenStorage.Nf4 });
            model.Checkpointing = variant == "checkpointing";
            int[] ids = [.. Enumerable.Range(0, 60).Select(i => i * i % Vocabulary)];
            using var tuner = new FineTuner(model, new TokenBlocks(ids, 6), options, new TokenBlocks(ids.Take(14), 6));
            List<double> losses = [];
            tuner.Run(progress: new Watch(progress => losses.Add(progress.Loss)));
            if (useGraph) Assert.True(tuner.Recorded.Replayed > 0, string.Join("; ", tuner.Recorded.Obstacles));
            return (losses, [.. tuner.Peft.TrainableParameters().Select(entry => entry.Parameter.Value.ToArray<float>())], tuner.Recorded.Replayed);
        }
    }

    [Theory, MemberData(nameof(Cards))]
    public void AnInterruptedRunEndsWithTheSameBits(string name)
    {
        using var folder = new TemporaryFolder();
        FineTuningOptions options = Options("dropout") with { GradientAccumulation = 2, Steps = 6 };
        Run("whole", new Watch(_ => { }), CancellationToken.None);
        using var cancel = new CancellationTokenSource();
        var progress = new Watch(report =>
        {
            if (report.Step == 3) cancel.Cancel();
        });
        Assert.Throws<OperationCanceledException>(() => Run("parts", progress, cancel.Token));
        // The report of the third step came while the fourth was under way.
        Assert.Equal(4, TrainingCheckpoint.FindLatest(folder.File("parts"))!.Step);
        Run("parts", new Watch(_ => { }), CancellationToken.None);
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(folder.File("whole"), PeftModel.WeightsFileName)),
            File.ReadAllBytes(Path.Combine(folder.File("parts"), PeftModel.WeightsFileName)));

        void Run(string output, Watch watch, CancellationToken stop)
        {
            using LlamaForCausalLM model = Model(TestDevices.Get(name));
            int[] ids = [.. Enumerable.Range(0, 60).Select(i => i * i % Vocabulary)];
            using var tuner = new FineTuner(model, new TokenBlocks(ids, 6), options);
            string path = folder.File(output);
            tuner.Run(path, Directory.Exists(path), watch, stop);
            Assert.True(tuner.Recorded.Replayed > 0, string.Join("; ", tuner.Recorded.Obstacles));
        }
    }

    [Theory, MemberData(nameof(Cards))]
    public void ShapesThatAlternateAndTargetsThatDoNotCountGiveTheSameBits(string name)
    {
        Rows[] batches = [.. Enumerable.Range(0, 16).Select(i => Rows.Make(i, 4 + i % 2, ignored: i % 4 / 2 * 3))];
        Assert.Equal(Train(name, batches, false, out _), Train(name, batches, true, out Trainer<Rows> trainer));
        Assert.Empty(trainer.Recorded.Obstacles);
        // Two lengths, with and without targets that do not count: the first batch of each is not replayed, nor is the second of the first, which finds
        // the table of angles that the first has made.
        Assert.Equal(16 - 4 - 1, trainer.Recorded.Replayed);
    }

    [Theory, MemberData(nameof(Cards))]
    public void WhatFailsWhileItIsRecordedIsComputedAsEver(string name)
    {
        Rows[] batches = [.. Enumerable.Range(0, 7).Select(i => Rows.Make(i, 4, ignored: 0))];
        int calls = 0;
        double[] recorded = Train(name, batches, true, out Trainer<Rows> trainer, () =>
        {
            if (++calls is 2) throw new InvalidOperationException("only now");
        });
        Assert.Equal(Train(name, batches, false, out _), recorded);
        Assert.True(trainer.Recorded.Replayed > 0, string.Join("; ", trainer.Recorded.Obstacles));
        // Nothing is replayed where each pass waits.
        var gpu = (GpuDevice)TestDevices.Get(name);
        Assert.Equal(recorded, Train(name, batches, true, out trainer, gpu.Synchronize));
        Assert.Equal(0, trainer.Recorded.Replayed);
        Assert.Contains("waits for the device", Assert.Single(trainer.Recorded.Obstacles));
        // Why is not forgotten when the pass is computed as ever.
        Assert.Equal(recorded, Train(name, batches, true, out trainer, () =>
        {
            if (GpuGraph.Recording(gpu) is not null) throw new InvalidOperationException("never while it is recorded");
        }));
        Assert.Contains("never while it is recorded", Assert.Single(trainer.Recorded.Obstacles));
    }

    [Theory, MemberData(nameof(Cards))]
    public void AWrongIdIsAnErrorAtItsStepAsEver(string name)
    {
        Rows[] batches = [.. Enumerable.Range(0, 5).Select(i => Rows.Make(i, 4, ignored: 0))];
        batches[4].Ids[3] = Vocabulary;
        string[] messages = [.. ((bool[])[false, true]).Select(
            graph => Assert.Throws<IndexException>(() => Train(name, batches, graph, out _)).Message)];
        Assert.Equal(messages[0], messages[1]);
        Assert.Contains("element 3 of ids [2, 4] is 37", messages[1]);
    }

    [Theory, MemberData(nameof(Cards))]
    public void ANumberThatIsNotFiniteIsHeardOfLaterAndHasMovedNothing(string name)
    {
        Rows[] batches = [.. Enumerable.Range(0, 6).Select(i => Rows.Make(i, 4, ignored: 0))];
        var (values, _) = Spoiled(batches[..3], spoilt: 0);
        foreach (bool follow in (bool[])[false, true])
        {
            var (after, error) = Spoiled(batches, spoilt: 4, follow ? new Follower() : null);
            Assert.Equal("Step 4: the loss is NaN. The parameters are as step 3 left them.", error);
            Assert.Equal(values, after);
        }

        (double[] Values, string? Error) Spoiled(Rows[] all, int spoilt, ITrainerCallback? callback = null)
        {
            Device device = TestDevices.Get(name);
            using LlamaForCausalLM model = Model(device);
            using var peft = new PeftModel(model);
            peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear }, new Generator(3));
            using var optimizer = new AdamW(peft.TrainableParameters().Select(entry => entry.Parameter), 0.01);
            Parameter norm = model.NamedParameters().Single(entry => entry.Name == "model.norm.weight").Parameter;
            float[] good = norm.Value.ToArray<float>();
            int call = 0;
            var trainer = new Trainer<Rows>(optimizer, batch =>
            {
                norm.Value.CopyFrom<float>(++call == spoilt ? [.. good.Select(_ => float.NaN)] : good);
                return model.Loss((batch.Ids, batch.Targets), batch.Length);
            });
            if (callback is not null) trainer.Callbacks.Add(callback);
            List<int> told = [];
            string? error = null;
            try
            {
                trainer.Run(all, new TrainerOptions { Steps = all.Length, MaxGradientNorm = 0.5 }, new Watch(progress => told.Add(progress.Step)));
            }
            catch (NonFiniteException e)
            {
                error = e.Message;
            }
            Assert.Equal([1, 2, 3], told);
            Assert.Equal(3, optimizer.StepCount);
            // Without a callback the next step was under way already.
            if (error is not null) Assert.Equal(callback is null ? 5 : 4, call);
            return ([.. peft.TrainableParameters().SelectMany(entry => entry.Parameter.Value.ToArray<double>())], error);
        }
    }

    private static double[] Train(string name, Rows[] batches, bool useGraph, out Trainer<Rows> trainer, Action? before = null)
    {
        Device device = TestDevices.Get(name);
        using LlamaForCausalLM model = Model(device);
        using var peft = new PeftModel(model);
        var generator = new Generator(3);
        peft.AddAdapter(new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.AllLinear, ModuleDropout = 0.3 }, generator);
        using var optimizer = new AdamW(peft.TrainableParameters().Select(entry => entry.Parameter), 0.01);
        Tensor Loss(IReadOnlyList<Tensor> inputs)
        {
            before?.Invoke();
            return model.Loss(inputs[0], inputs[1]);
        }
        trainer = new Trainer<Rows>(
            optimizer, batch => Loss([.. batch.Inputs().Select(input => Tensor.FromIndices(input.Values, input.Shape, device, input.Name))]))
        {
            Recordable = new RecordableLoss<Rows>(batch => batch.Inputs(), Loss, generator),
        };
        model.Train();
        List<double> numbers = [];
        var options = new TrainerOptions
        {
            Steps = batches.Length,
            UseCudaGraph = useGraph,
            MaxGradientNorm = 0.5,
            Schedule = LearningRateSchedule.Cosine(batches.Length, 2),
        };
        trainer.Run(batches, options, new Watch(progress => numbers.AddRange([progress.Loss, progress.GradientNorm])));
        foreach ((_, Parameter parameter) in peft.TrainableParameters()) numbers.AddRange(parameter.Value.ToArray<double>());
        return [.. numbers];
    }

    private static LlamaForCausalLM Model(Device device, bool freeze = true) =>
        TinyLlama.Create(TinyLlama.Config with { NumHiddenLayers = 1 }, device, freeze);

    private static FineTuningOptions Options(string variant)
    {
        var delora = new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.AllLinear };
        var options = new FineTuningOptions { Adapter = delora, Steps = 5, BatchSize = 2, LearningRate = 0.01, WeightDecay = 0.1, WarmupSteps = 2 };
        return variant switch
        {
            "accumulation" => options with { GradientAccumulation = 2 },
            "dropout" => options with { Adapter = delora with { ModuleDropout = 0.3 } },
            "lora" => options with { Adapter = new LoraConfig { R = 2, TargetModules = ModuleSelector.AllLinear, LoraDropout = 0.2 } },
            "evaluations" => options with { Steps = 6, EvaluateEvery = 3, Adapter = delora with { ModuleDropout = 0.3 } },
            _ => options,
        };
    }

    private sealed record Rows(int[] Ids, int[] Targets, int Length)
    {
        internal static Rows Make(int seed, int length, int ignored)
        {
            int[] ids = [.. Enumerable.Range(0, 2 * length).Select(i => (seed + 3) * (i + 1) * (i + seed) % Vocabulary)];
            int[] targets = [.. ids.Select((id, i) => (i + seed) % (2 * length) < ignored ? -100 : (id + 1) % Vocabulary)];
            return new(ids, targets, length);
        }

        internal IReadOnlyList<BatchInput> Inputs() =>
            [new("ids", Ids, [2, Length]), new("targets", Targets, [2, Length], Targets.Count(target => target >= 0))];
    }

    /// <summary>Takes part in a run in the usual way.</summary>
    private sealed class Follower : ITrainerCallback;

    private sealed class Watch(Action<TrainingProgress> told) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => told(value);
    }
}
