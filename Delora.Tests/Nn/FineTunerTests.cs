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

    public static TheoryData<string> Variants => ["plain", "accumulation", "lambda rate", "residual and dropout", "biases", "whole module", "lora"];

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

    [Theory]
    [InlineData("other seed", "seed was 0, is 1")]
    [InlineData("other data", "training data was")]
    [InlineData("other rate", "learning rate was 0.01, is 0.02")]
    [InlineData("other adapter", "adapter r was 2, is 3")]
    [InlineData("other model", "model was")]
    public void AnotherRunIsNotGoneOnWith(string difference, string told)
    {
        string output = _folder.File("out");
        using (Tuned first = Make(Options("plain"))) Interrupt(first.Tuner, output, after: 2);
        FineTuningOptions options = difference switch
        {
            "other seed" => Options("plain") with { Seed = 1 },
            "other rate" => Options("plain") with { LearningRate = 0.02 },
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
                good with { LearningRate = double.NaN }, good with { LambdaLearningRate = -1 }, good with { MaxGradientNorm = double.PositiveInfinity },
                good with { KeepCheckpoints = 0 }, good with { Schedule = (ScheduleKind)7 },
            ])
            Assert.ThrowsAny<ArgumentException>(() => Make(bad).Dispose());
    }

    private static FineTuningOptions Options(string variant)
    {
        var delora = new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.AllLinear };
        var options = new FineTuningOptions { Adapter = delora, Steps = 8, BatchSize = 2, LearningRate = 0.01, WeightDecay = 0.1, WarmupSteps = 2 };
        return variant switch
        {
            "accumulation" => options with { GradientAccumulation = 3 },
            "lambda rate" => options with { LambdaLearningRate = 0.1 },
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
