using System.Diagnostics.CodeAnalysis;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn;

/// <summary>A run that is interrupted goes on as if nothing had happened, whatever it trains; and what is not its own stays.</summary>
[SuppressMessage("Usage", "xUnit1051", Justification = "The runs take milliseconds; those that are cancelled cancel by themselves.")]
public sealed class FineTunerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Variants =>
    [
        "plain", "accumulation", "lambda rate", "lambda range", "lambda warm-up", "frozen lambda", "frozen lambda warm-up",
        "residual and dropout", "biases", "whole module", "lora",
    ];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Variants))]
    public void AnInterruptedRunEndsWithTheSameBits(string variant)
    {
        FineTuningOptions options = Options(variant);
        using (Tuned whole = Make(options)) whole.Tuner.Run(_folder.File("whole"));
        using (Tuned first = Make(options)) Interrupt(first.Tuner, _folder.File("parts"), after: 5);
        using (Tuned rest = Make(options)) Assert.Equal(options.Steps, rest.Tuner.Run(_folder.File("parts"), resume: true).Steps);
        AssertSameAdapter();
    }

    [Fact]
    public void StepsThatWereLeftOutCountForTheRunAndNotForTheOptimizer()
    {
        FineTuningOptions options = Options("plain") with { NonFinite = NonFinitePolicy.Skip };
        using (Tuned whole = Make(options))
            Assert.Equal(1, whole.Tuner.Run(_folder.File("whole"), progress: new Spoiler(whole.Tuner, 3)).SkippedSteps);
        using (Tuned first = Make(options)) Interrupt(first.Tuner, _folder.File("parts"), after: 6, new Spoiler(first.Tuner, 3));
        using (Tuned rest = Make(options)) Assert.Equal(1, rest.Tuner.Run(_folder.File("parts"), resume: true).SkippedSteps);
        AssertSameAdapter();
    }

    [Fact]
    public void WhoWatchesAnEvaluationDoesNotDisturbTheRun()
    {
        FineTuningOptions options = Options("residual and dropout") with { EvaluateEvery = 2 };
        using (Tuned whole = Make(options)) whole.Tuner.Run(_folder.File("whole"));
        using (Tuned watched = Make(options))
        {
            watched.Tuner.Evaluated += (_, _) =>
            {
                Assert.False(watched.Tuner.Model.IsTraining);
                using var scope = new TensorScope("sample");
                watched.Tuner.Model.Forward(TinyLlama.Ids([1, 4], Devices.Cpu));
            };
            watched.Tuner.Run(_folder.File("parts"));
        }
        AssertSameAdapter();
    }

    [Fact]
    public void FoldersOfOthersAreNeitherTakenForCheckpointsNorRemoved()
    {
        string output = _folder.File("out");
        _folder.Write("out/checkpoint-2/trainer_state.json", "{}");
        FineTuningOptions options = Options("plain") with { SaveEvery = 1, KeepCheckpoints = 1 };
        using Tuned tuner = Make(options);
        Assert.Contains("checkpoint-2", Assert.Throws<DeloraFormatException>(() => tuner.Tuner.Run(output)).Message);
        tuner.Tuner.Run(output, resume: true);
        Assert.Equal(["checkpoint-000008", "checkpoint-2"], Directory.GetDirectories(output).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void DamagedCheckpointsOfLaterStepsDoNotPushOutTheOnesThatAreWritten()
    {
        string output = _folder.File("out");
        FineTuningOptions options = Options("plain") with { SaveEvery = 1, KeepCheckpoints = 3 };
        using (Tuned first = Make(options)) Interrupt(first.Tuner, output, after: 6);
        foreach (string step in (string[])["000005", "000006"])
            File.WriteAllBytes(_folder.File($"out/checkpoint-{step}/training_state.safetensors"), new byte[10]);
        // Step 5 is written anew while the damaged one of step 6 is still there.
        using (Tuned second = Make(options with { KeepCheckpoints = 1 }))
        {
            using var cancel = new CancellationTokenSource();
            Assert.Throws<OperationCanceledException>(
                () => second.Tuner.Run(output, resume: true, progress: new Watch(_ => cancel.Cancel()), cancellation: cancel.Token));
        }
        Assert.Equal(5, TrainingCheckpoint.FindLatest(output)!.Step);
    }

    [Theory, InlineData(NonFinitePolicy.Stop), InlineData(NonFinitePolicy.Skip)]
    public void ParametersThatAStepMadeInfiniteAreNotSaved(NonFinitePolicy policy)
    {
        // Loss and gradients are finite; the step itself is beyond float32. Nobody looks at a loss after the last one.
        string output = _folder.File("out");
        FineTuningOptions options = Options("plain") with { Steps = 1, WarmupSteps = 0, LearningRate = 3e38, NonFinite = policy };
        foreach (string? to in (string?[])[output, null])
        {
            using Tuned tuned = Make(options);
            string message = Assert.Throws<NonFiniteException>(() => tuned.Tuner.Run(to)).Message;
            Assert.Contains("step 1", message, StringComparison.OrdinalIgnoreCase);
            Assert.Contains("delora_", message, StringComparison.Ordinal);
        }
        Assert.Empty(Directory.EnumerateFileSystemEntries(output));
    }

    [Fact]
    public void AnEvaluationIsTheMeanOverTokensHoweverTheyAreSpread()
    {
        using Tuned tuned = Make(Options("plain"));
        // Five targets in the first row, one in the second, two in the third.
        TokenRows rows = new TokenExamples([([1, 2, 3, 4, 5, 6], 0), ([7, 8, 9], 2), ([4, 4, 2, 1], 2)], padding: 0);
        Evaluation together = Evaluation.Of(tuned.Model, rows, 3);
        Assert.Equal(8, together.Tokens);
        foreach (int batch in (int[])[1, 2]) Assert.Equal(together.Loss, Evaluation.Of(tuned.Model, rows, batch).Loss, 1e-5);
    }

    [Theory]
    [InlineData("other seed", "seed was 0, is 1")]
    [InlineData("other data", "training data was")]
    [InlineData("other rate", "learning rate was 0.01, is 0.02")]
    [InlineData("other adapter", "adapter r was 2, is 3")]
    [InlineData("other model", "model was")]
    [InlineData("frozen λ", "frozen λ was not set, is yes")]
    [InlineData("range of λ", "largest λ was not set, is 3")]
    public void AnotherRunIsNotGoneOnWith(string difference, string told)
    {
        string output = _folder.File("out");
        using (Tuned first = Make(Options("plain"))) Interrupt(first.Tuner, output, after: 2);
        FineTuningOptions options = difference switch
        {
            "other seed" => Options("plain") with { Seed = 1 },
            "other rate" => Options("plain") with { LearningRate = 0.02 },
            "frozen λ" => Options("frozen lambda"),
            "range of λ" => Options("plain") with { Lambda = new() { Max = 3 } },
            "other adapter" => Options("plain") with { Adapter = Options("plain").Adapter with { R = 3 } },
            _ => Options("plain"),
        };
        using Tuned other = Make(options, otherData: difference == "other data", otherModel: difference == "other model");
        Assert.Contains(told, Assert.Throws<DeloraFormatException>(() => other.Tuner.Run(output, resume: true)).Message);
    }

    [Fact]
    public void OptionsOutsideOfTheirRangeAreRefusedBeforeAnythingIsDone()
    {
        FineTuningOptions good = Options("plain");
        foreach (FineTuningOptions bad in (FineTuningOptions[])
            [
                good with { Steps = 0 }, good with { BatchSize = 0 }, good with { GradientAccumulation = 0 }, good with { WarmupSteps = -1 },
                good with { LearningRate = double.NaN }, good with { LearningRate = 1e39 }, good with { Lambda = new() { LearningRate = -1 } }, good with { MaxGradientNorm = double.PositiveInfinity },
                good with { Lambda = new() { WarmupSteps = -1 } }, good with { Lambda = new() { Min = 3, Max = 1 } },
                good with { Lambda = new() { Frozen = true, Max = 3 } }, good with { Lambda = new() { Max = 1.5 } },
                good with { Lambda = new() { Min = double.NaN } }, good with { MeasureBoundsEvery = -1 },
                good with { Adapter = new LoraConfig(), Lambda = new() { Frozen = true } },
                good with { KeepCheckpoints = 0 }, good with { Schedule = (ScheduleKind)7 },
            ])
            Assert.ThrowsAny<ArgumentException>(() => Make(bad).Dispose());
    }

    [Theory]
    [InlineData("plain", false)]
    [InlineData("lambda range", false)]
    [InlineData("lambda warm-up", false)]
    [InlineData("frozen lambda", true)]
    [InlineData("frozen lambda warm-up", true)]
    public void LambdaGoesAsItsOptionsSay(string variant, bool frozen)
    {
        FineTuningOptions options = Options(variant);
        using Tuned tuned = Make(options);
        DeloraAdapter[] adapters = [.. tuned.Tuner.Peft.AdaptedLayers.Select(pair => (DeloraAdapter)pair.Layer.Adapters["default"])];
        Assert.Equal(frozen ? 2 : 3, tuned.Tuner.Peft.TrainableParameters().Count() / adapters.Length);
        List<double[]> after = [];
        int reports = 0;
        tuned.Tuner.BoundsMeasured += (_, _) => reports++;
        tuned.Tuner.Run(progress: new Watch(_ => after.Add([.. adapters.Select(adapter => adapter.Lambda.Value.ToScalar())])));
        Assert.Equal(0, reports);
        for (int step = 1; step <= options.Steps; step++)
            foreach (double lambda in after[step - 1])
            {
                LambdaOptions told = options.Lambda;
                if (step <= told.WarmupSteps) Assert.Equal((float)(2.0 * step / told.WarmupSteps), lambda);
                else if (frozen) Assert.Equal(2, lambda);
                else Assert.InRange(lambda, (float)(told.Min ?? -10), (float)(told.Max ?? 10));
            }
        if (frozen) return;
        // It is trained: it moves, and where there is a range it comes to the ends.
        Assert.Contains(after[^1], lambda => lambda != 2);
        if (variant == "lambda range") Assert.Contains(after[^1], lambda => lambda == (float)options.Lambda.Max! || lambda == (float)options.Lambda.Min!);
    }

    [Fact]
    public void ARunTellsHowFarTheLayersHaveMoved()
    {
        using Tuned tuned = Make(Options("plain") with { MeasureBoundsEvery = 3 });
        List<(int Step, BoundReport Bounds)> told = [];
        tuned.Tuner.BoundsMeasured += (step, bounds) => told.Add((step, bounds));
        tuned.Tuner.Run();
        Assert.Equal([3, 6, 8], told.Select(entry => entry.Step));
        Assert.All(told.SelectMany(entry => entry.Bounds.Layers), layer => Assert.InRange(layer.Utilization!.Value, 1e-3, 1 + 1e-5));
    }

    private static FineTuningOptions Options(string variant)
    {
        var delora = new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.AllLinear };
        var options = new FineTuningOptions { Adapter = delora, Steps = 8, BatchSize = 2, LearningRate = 0.01, WeightDecay = 0.1, WarmupSteps = 2 };
        return variant switch
        {
            "accumulation" => options with { GradientAccumulation = 3 },
            "lambda rate" => options with { Lambda = new() { LearningRate = 0.1, WeightDecay = 0.05 } },
            "lambda range" => options with { Lambda = new() { LearningRate = 0.1, Min = 1.9, Max = 2.05 } },
            "lambda warm-up" => options with { Lambda = new() { LearningRate = 0.1, WarmupSteps = 4 } },
            "frozen lambda" => options with { Lambda = new() { Frozen = true } },
            "frozen lambda warm-up" => options with { Lambda = new() { Frozen = true, WarmupSteps = 6 } },
            "residual and dropout" => options with { Adapter = delora with { ResidualInitialization = true, ModuleDropout = 0.3 } },
            "biases" => options with { Adapter = delora with { Bias = AdapterBias.All } },
            "whole module" => options with { Adapter = delora with { ModulesToSave = ["lm_head"] } },
            "lora" => options with { Adapter = new LoraConfig { R = 2, TargetModules = ModuleSelector.AllLinear, LoraDropout = 0.2 } },
            _ => options,
        };
    }

    private static Tuned Make(FineTuningOptions options, bool otherData = false, bool otherModel = false)
    {
        LlamaForCausalLM model = LlamaForCausalLM.Create(TinyLlama.Config with { AttentionBias = true }, Devices.Cpu, new Generator(otherModel ? 8u : 7u));
        try
        {
            int[] ids = [.. Enumerable.Range(0, 200).Select(i => (i * i + (otherData ? 1 : 0)) % TinyLlama.Config.VocabSize)];
            return new Tuned(model, new FineTuner(model, new TokenBlocks(ids, 6), options, new TokenBlocks(ids.Take(20), 6)));
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private void AssertSameAdapter() =>
        Assert.Equal(File.ReadAllBytes(Path.Combine(_folder.File("whole"), PeftModel.WeightsFileName)),
            File.ReadAllBytes(Path.Combine(_folder.File("parts"), PeftModel.WeightsFileName)));

    private static void Interrupt(FineTuner tuner, string output, int after, IProgress<TrainingProgress>? also = null)
    {
        using var cancel = new CancellationTokenSource();
        var progress = new Watch(report =>
        {
            also?.Report(report);
            if (report.Step == after) cancel.Cancel();
        });
        Assert.Throws<OperationCanceledException>(() => tuner.Run(output, progress: progress, cancellation: cancel.Token));
    }

    /// <summary>A tuner with a model of its own.</summary>
    private sealed record Tuned(LlamaForCausalLM Model, FineTuner Tuner) : IDisposable
    {
        public void Dispose()
        {
            Tuner.Dispose();
            Model.Dispose();
        }
    }

    private sealed class Watch(Action<TrainingProgress> told) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => told(value);
    }

    /// <summary>Makes the loss of the step after a given one NaN.</summary>
    private sealed class Spoiler(FineTuner tuner, int after) : IProgress<TrainingProgress>
    {
        private readonly Parameter _norm = tuner.Model.NamedParameters().Single(entry => entry.Name == "model.norm.weight").Parameter;
        private readonly float[] _values = tuner.Model.NamedParameters().Single(entry => entry.Name == "model.norm.weight").Parameter.Value.ToArray<float>();

        public void Report(TrainingProgress value) =>
            _norm.Value.CopyFrom<float>(value.Step == after ? [.. _values.Select(_ => float.NaN)] : _values);
    }
}
