using System.Diagnostics.CodeAnalysis;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.DeviceTests;
using Delora.Tests.Nn.Models;
using Delora.Tests.Ptx;

namespace Delora.Tests.Nn;

/// <summary>Whole steps as graphs: the optimizer's step with all that belongs to it, batches of many lengths, classifiers; and nobody waits.</summary>
[SuppressMessage("Usage", "xUnit1051", Justification = "The runs take a second.")]
public sealed class RecordedStepTests
{
    private const int Vocabulary = 37;

    public static TheoryData<string> Cards => TestDevices.CudaNames;

    public static TheoryData<string, string> Variants => TestDevices.CudaNames.With("everything", "λ frozen, no clipping", "skipping", "all weights");

    public static TheoryData<string, string, string> Classifiers
    {
        get
        {
            var rows = new TheoryData<string, string, string>();
            foreach (TheoryDataRow<string> device in TestDevices.CudaNames)
                foreach ((string family, string kind) in ((string, string)[])
                    [
                        (BertConfig.Family, "SingleLabel"), (RobertaConfig.Family, "MultiLabel"), (BertConfig.Family, "Regression"),
                        (BertConfig.Family, "tokens"),
                    ])
                    rows.Add(new(device.Data, family, kind) { Skip = device.Skip, Traits = { ["Device"] = [device.Data] } });
            return rows;
        }
    }

    [Theory, MemberData(nameof(Variants))]
    public void ARunOfManyLengthsHasTheSameBits(string name, string variant)
    {
        var delora = new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.AllLinear, ModuleDropout = 0.2 };
        var options = new FineTuningOptions
        {
            Adapter = delora,
            Steps = 9,
            BatchSize = 2,
            LearningRate = 0.01,
            WeightDecay = 0.1,
            WarmupSteps = 2,
            MaxGradientNorm = 0.5,
        };
        options = variant switch
        {
            "everything" => options with
            {
                GradientAccumulation = 2,
                Lambda = new() { LearningRate = 0.1, WeightDecay = 0.05, WarmupSteps = 3, Min = 1.99, Max = 2.01 },
            },
            "λ frozen, no clipping" => options with { Lambda = new() { Frozen = true, WarmupSteps = 5 }, MaxGradientNorm = 0 },
            "skipping" => options with { NonFinite = NonFinitePolicy.Skip, Lambda = new() { WarmupSteps = 2, Max = 2.001 } },
            _ => options with { Adapter = delora with { ModulesToSave = ["lm_head"], Bias = AdapterBias.All } },
        };
        (List<double> launched, _) = Run(false);
        (List<double> replayed, RecordedSteps recorded) = Run(true);
        Assert.Equal(launched, replayed);
        Assert.True(recorded.Replayed >= options.GradientAccumulation * 2, $"{recorded.Replayed}: {string.Join("; ", recorded.Obstacles)}");
        Assert.True(recorded.ReplayedSteps >= options.Steps - 4, $"{recorded.ReplayedSteps}: {string.Join("; ", recorded.Obstacles)}");
        Assert.Empty(recorded.Obstacles);

        (List<double>, RecordedSteps) Run(bool useGraph)
        {
            using LlamaForCausalLM model = Model(TestDevices.Get(name), freeze: variant != "all weights");
            if (variant == "all weights") model.Freeze();
            using var tuner = new FineTuner(model, Examples(), options with { UseCudaGraph = useGraph });
            List<double> numbers = [];
            tuner.Run(progress: new Watch(progress => numbers.AddRange([progress.Loss, progress.GradientNorm, progress.LearningRate])));
            foreach ((_, Parameter parameter) in tuner.Peft.TrainableParameters()) numbers.AddRange(parameter.Value.ToArray<double>());
            numbers.AddRange(Lambdas(tuner.Peft));
            return (numbers, tuner.Recorded);
        }
    }

    [Theory, MemberData(nameof(Classifiers))]
    public void AClassifiersRunHasTheSameBits(string name, string family, string kind)
    {
        bool tokens = kind == "tokens";
        EncoderConfig config = TinyEncoder.Config(family, tokens ? EncoderHead.TokenClassification : EncoderHead.SequenceClassification) with
        {
            NumHiddenLayers = 1,
            Problem = tokens ? null : Enum.Parse<ClassificationProblem>(kind),
            HiddenDropoutProb = 0.1,
        };
        (List<double> launched, _) = Run(false);
        (List<double> replayed, RecordedSteps recorded) = Run(true);
        Assert.Equal(launched, replayed);
        Assert.True(recorded is { Replayed: > 0, ReplayedSteps: > 0 }, string.Join("; ", recorded.Obstacles));
        Assert.Empty(recorded.Obstacles);

        (List<double>, RecordedSteps) Run(bool useGraph)
        {
            Device device = TestDevices.Get(name);
            EncodedText[] texts = TinyEncoder.Texts(3, [.. Enumerable.Range(0, 12).Select(i => 3 + i % 6)]);
            var options = new FineTuningOptions
            {
                Adapter = new DeloraConfig { R = 2, DeloraLambda = 2, TaskType = tokens ? "TOKEN_CLS" : "SEQ_CLS", TargetModules = ModuleSelector.AllLinear },
                Steps = 7,
                BatchSize = 3,
                LearningRate = 0.01,
                UseCudaGraph = useGraph,
            };
            List<double> numbers = [];
            if (tokens)
            {
                using TokenClassifier model = TokenClassifier.Create(config, device, new Generator(7));
                model.Freeze();
                // As many count as there are words: other numbers in each batch.
                var rows = TokenClassificationRows.Of(
                    config, texts, texts.Select((text, row) => text.Ids.Select((id, i) => i > 0 && (i + row) % 3 == 0 ? -100 : id % 3).ToArray()));
                using var tuner = new TokenClassifierTuner(model, rows, options);
                return Numbers(tuner);
            }
            using SequenceClassifier classifier = TinyEncoder.Classifier(config, device);
            ClassificationRows labelled = kind == "SingleLabel"
                ? ClassificationRows.Of(config, texts, Enumerable.Range(0, 12).Select(i => i % 3))
                : ClassificationRows.Of(config, texts, Enumerable.Range(0, 12).Select(i => (float[])[i % 2, i % 3 / 2, kind == "Regression" ? 0.3f * i : 1]));
            using var own = new ClassifierTuner(classifier, labelled, options);
            return Numbers(own);

            (List<double>, RecordedSteps) Numbers<TModel, TBatch, TEvaluation>(FineTuner<TModel, TBatch, TEvaluation> tuner) where TModel : PretrainedModel
            {
                tuner.Run(progress: new Watch(progress => numbers.AddRange([progress.Loss, progress.GradientNorm])));
                foreach ((_, Parameter parameter) in tuner.Peft.TrainableParameters()) numbers.AddRange(parameter.Value.ToArray<double>());
                return (numbers, tuner.Recorded);
            }
        }
    }

    /// <summary>
    /// Once all is recorded, a step is one launch for each pass and one for the optimizer, and the host waits for nothing but the step before.
    /// </summary>
    [Theory, InlineData(NonFinitePolicy.Stop), InlineData(NonFinitePolicy.Skip)]
    public void NobodyWaitsInsideAStepAndNothingIsLaunchedOneByOne(NonFinitePolicy policy)
    {
        CountingPtxDriver? driver = null;
        using GpuDevice gpu = InterpretedDevice.Start(PtxMachineDriver.Hopper, "counted", around: inner => driver = new CountingPtxDriver(inner));
        using LlamaForCausalLM model = Model(gpu);
        var options = new FineTuningOptions
        {
            Adapter = new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.AllLinear, ModuleDropout = 0.2 },
            Steps = 14,
            BatchSize = 2,
            GradientAccumulation = 2,
            WarmupSteps = 3,
            Lambda = new() { LearningRate = 0.1, WarmupSteps = 12, Max = 2.01 },
            NonFinite = policy,
        };
        int[] ids = [.. Enumerable.Range(0, 60).Select(i => i * i % Vocabulary)];
        using var tuner = new FineTuner(model, new TokenBlocks(ids, 6), options);
        (long Launches, long Replays, long Uploads) before = default;
        long memory = 0;
        tuner.Run(progress: new Watch(progress =>
        {
            if (progress.Step == 5)
            {
                before = (driver!.Launches, driver.Replays, driver.Uploads);
                driver.Waits.Clear();
                memory = gpu.Memory.Statistics.SystemAllocations;
            }
            if (progress.Step != 11) return;
            Assert.Equal(0, driver!.Launches - before.Launches);
            Assert.Equal(6 * 3, driver.Replays - before.Replays);
            Assert.Equal(6 * 3, driver.Uploads - before.Uploads);
            // The two losses and the norm of each step, when a whole further step had been asked for; or its passes, where its number depends on them.
            Assert.Equal(6 * 3, driver.Waits.Count);
            Assert.All(driver.Waits, replays => Assert.True(replays >= (policy == NonFinitePolicy.Stop ? 3 : 2), $"{replays}"));
            Assert.Equal(memory, gpu.Memory.Statistics.SystemAllocations);
        }));
        Assert.True(tuner.Recorded.ReplayedSteps >= 11);
    }

    [Theory, MemberData(nameof(Cards))]
    public void ANumberThatIsNotFiniteInTheMidstOfReplaysHasMovedNothing(string name)
    {
        foreach (NonFinitePolicy policy in Enum.GetValues<NonFinitePolicy>())
        {
            var launched = Spoiled(false);
            var replayed = Spoiled(true);
            Assert.Equal(launched.Error, replayed.Error);
            Assert.Equal(launched.Numbers, replayed.Numbers);
            Assert.Equal(policy == NonFinitePolicy.Stop ? "Step 6: the loss is NaN. The parameters are as step 5 left them." : null, replayed.Error);
            Assert.True(replayed.Recorded is { Replayed: > 3, ReplayedSteps: > 3 });

            (double[] Numbers, string? Error, RecordedSteps Recorded) Spoiled(bool useGraph)
            {
                Device device = TestDevices.Get(name);
                using LlamaForCausalLM model = Model(device);
                using var peft = new PeftModel(model);
                peft.AddAdapter(new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.AllLinear }, new Generator(3));
                var lambda = new LambdaTraining(peft, new LambdaOptions { LearningRate = 0.1, WarmupSteps = 7 });
                using var optimizer = new AdamW(lambda.Groups(), 0.01);
                Parameter norm = model.NamedParameters().Single(entry => entry.Name == "model.norm.weight").Parameter;
                float[] good = norm.Value.ToArray<float>();
                int batch = 0;
                IReadOnlyList<BatchInput> Inputs(int number)
                {
                    norm.Value.CopyFrom<float>(++batch == 6 ? [.. good.Select(_ => float.NaN)] : good);
                    int[] ids = [.. Enumerable.Range(0, 8).Select(i => (number + 3) * (i + 1) % Vocabulary)];
                    return [new("ids", ids, [2, 4]), new("targets", [.. ids.Select(id => (id + 1) % Vocabulary)], [2, 4])];
                }
                Tensor Loss(IReadOnlyList<Tensor> inputs) => model.Loss(inputs[0], inputs[1]);
                var trainer = new Trainer<int>(optimizer, number => Loss([.. Inputs(number).Select(input => input.On(device))]))
                {
                    Recordable = new RecordableLoss<int>(Inputs, Loss),
                };
                trainer.Callbacks.Add(lambda);
                lambda.Begin();
                List<double> numbers = [];
                string? error = null;
                try
                {
                    trainer.Run(
                        i => (int)i, new TrainerOptions { Steps = 10, MaxGradientNorm = 0.5, NonFinite = policy, UseCudaGraph = useGraph },
                        new Watch(progress => numbers.AddRange([progress.Loss, progress.GradientNorm, progress.Skipped ? 1 : 0])));
                }
                catch (NonFiniteException e)
                {
                    error = e.Message;
                }
                numbers.AddRange(peft.TrainableParameters().SelectMany(entry => entry.Parameter.Value.ToArray<double>()));
                numbers.Add(optimizer.StepCount);
                return ([.. numbers], error, trainer.Recorded);
            }
        }
    }

    /// <summary>Batches are longer on a card than on the CPU, and more rows of the last product are computed.</summary>
    [Theory, MemberData(nameof(Cards))]
    public void WhatFillsUpABatchChangesNoNumber(string name)
    {
        var adapter = new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.AllLinear };
        var options = new FineTuningOptions { Adapter = adapter, Steps = 6, BatchSize = 2, LearningRate = 0 };
        Compare(device =>
        {
            using LlamaForCausalLM model = Model(device);
            using var tuner = new FineTuner(model, Examples(), options);
            return Numbers(tuner);
        });
        Compare(device =>
        {
            using SequenceClassifier model = TinyEncoder.Classifier(TinyEncoder.Config(RobertaConfig.Family) with { NumHiddenLayers = 1 }, device);
            var rows = ClassificationRows.Of(model.Config, TinyEncoder.Texts(3, [3, 5, 9, 11, 4, 2]), [0, 1, 2, 0, 1, 2]);
            using var tuner = new ClassifierTuner(model, rows, options with { Adapter = adapter with { TaskType = "SEQ_CLS" } });
            return Numbers(tuner);
        });
        Assert.Equal((5, 8, 7, 72, 300), (On("cpu", 5), On(name, 5), BatchLengths.On(TestDevices.Get(name), 5, 7), On(name, 65), On(name, 289)));

        int On(string device, int length) => BatchLengths.On(TestDevices.Get(device), length, 300);

        void Compare(Func<Device, List<double>> run) => Ops.OpTesting.Close([.. run(Devices.Cpu)], [.. run(TestDevices.Get(name))], 1e-4);

        static List<double> Numbers<TModel, TBatch, TEvaluation>(FineTuner<TModel, TBatch, TEvaluation> tuner) where TModel : PretrainedModel
        {
            List<double> numbers = [];
            tuner.Run(progress: new Watch(progress => numbers.AddRange([progress.Loss, progress.GradientNorm])));
            return numbers;
        }
    }

    [Theory, MemberData(nameof(Cards))]
    public void WhatIsLaunchedOneByOneIsToldOnce(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        using var weight = new Parameter("weight", Tensor.Zeros([3, 4], DType.Float32, gpu));
        using var optimizer = new Sgd([weight], 0.1, momentum: 0.9);
        List<string> notes = [];
        Tensor Loss(IReadOnlyList<Tensor> inputs)
        {
            gpu.Synchronize();
            return Tensor.From([1f, 2, 3, 4], [1, 4], gpu).Linear(weight).CrossEntropy(inputs[0]);
        }
        var trainer = new Trainer<int>(optimizer, _ => throw new InvalidOperationException("not recordable"))
        {
            Recordable = new RecordableLoss<int>(number => [new("labels", [number % 3], [1])], Loss),
            Warn = notes.Add,
        };
        trainer.Run(i => (int)i, new TrainerOptions { Steps = 9 });
        Assert.Contains("it waits for the device", Assert.Single(notes));
        Assert.Equal(0, trainer.Recorded.Replayed);
        Assert.True(trainer.Recorded.ReplayedSteps > 5);
    }

    private static IEnumerable<double> Lambdas(PeftModel peft) =>
        peft.AdaptedLayers.Select(pair => ((DeloraAdapter)pair.Layer.Adapters["default"]).Lambda.Value.ToScalar());

    /// <summary>Lengths from 4 to 16, of which a part counts.</summary>
    private static TokenExamples Examples() => new(
        [.. Enumerable.Range(0, 8).Select(i => (Enumerable.Range(0, 5 + 3 * (i % 5)).Select(j => (i + 2) * j % Vocabulary).ToArray(), i % 4))], padding: 0);

    private static LlamaForCausalLM Model(Device device, bool freeze = true) =>
        TinyLlama.Create(TinyLlama.Config with { NumHiddenLayers = 1 }, device, freeze);

    private sealed class Watch(Action<TrainingProgress> told) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => told(value);
    }
}
