using Delora.Bench;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn;

/// <summary>A fine-tuning that multiplies in bfloat16 on a CUDA card, over weights that are kept so: products, attention and the last layer.</summary>
public sealed class RoundedTrainingTests
{
    // The interpreter computes such a run in seconds: few steps of a small model.
    private const int Vocabulary = 37, Length = 20, Steps = 8;

    // Heads of 8, sequences of 16 and more: attention takes the tensor cores.
    private static readonly LlamaConfig s_config = TinyLlama.Config with { HiddenSize = 32, NumHiddenLayers = 1 };

    public static TheoryData<string> Cards => TestDevices.CudaNames;

    [Theory, MemberData(nameof(Cards))]
    public void LossesFallFromWhereFloat32StartsAndAGraphChangesNoBit(string name)
    {
        (List<double> Losses, List<float[]> Values, long Replayed) precise = Train(name, MatMulPrecision.Float32, useGraph: true);
        (List<double> Losses, List<float[]> Values, long Replayed) rounded = Train(name, MatMulPrecision.BFloat16, useGraph: true);
        (List<double> Losses, List<float[]> Values, long Replayed) launched = Train(name, MatMulPrecision.BFloat16, useGraph: false);
        Assert.True(rounded.Replayed > 0);
        Assert.Equal(0, launched.Replayed);
        Assert.Equal(launched.Losses, rounded.Losses);
        Assert.Equal(launched.Values, rounded.Values);

        Assert.NotEqual(precise.Losses, rounded.Losses);
        Assert.True(rounded.Losses[^1] < rounded.Losses[0] - 0.1, string.Join(", ", rounded.Losses));
        // A score is off by at most two factors' half units, 2 · 2⁻⁸ of the size of its terms; a loss is a difference of scores of that size, and the mean
        // over its targets is off by less. This holds before the first step: AdamW's makes of a gradient little but its sign, so that later losses may part.
        Assert.InRange(rounded.Losses[0], precise.Losses[0] * (1 - 2.0 / 256), precise.Losses[0] * (1 + 2.0 / 256));
    }

    private static (List<double> Losses, List<float[]> Values, long Replayed) Train(string name, MatMulPrecision precision, bool useGraph)
    {
        Device device = TestDevices.Get(name);
        using var scope = new PrecisionScope(device, precision);
        Assert.Equal(precision, scope.Current);
        using LlamaForCausalLM model = TinyLlama.Create(s_config, device, freeze: false);
        model.Freeze(new FrozenWeightOptions { Storage = FrozenStorage.BFloat16, OutputStorage = FrozenStorage.BFloat16 });
        int[] ids = [.. Enumerable.Range(0, 4 * Length + 1).Select(i => i * i % Vocabulary)];
        var options = new FineTuningOptions
        {
            Adapter = new DeloraConfig { R = 2, DeloraLambda = 4, TargetModules = ModuleSelector.AllLinear },
            Steps = Steps,
            BatchSize = 2,
            LearningRate = 0.02,
            UseCudaGraph = useGraph,
        };
        using var tuner = new FineTuner(model, new TokenBlocks(ids, Length), options);
        var losses = new Losses();
        tuner.Run(progress: losses, cancellation: TestContext.Current.CancellationToken);
        if (useGraph) Assert.True(tuner.Recorded.Replayed > 0, string.Join("; ", tuner.Recorded.Obstacles));
        return (losses, [.. tuner.Peft.TrainableParameters().Select(entry => entry.Parameter.Value.ToArray<float>())], tuner.Recorded.Replayed);
    }

    private sealed class Losses : List<double>, IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => Add(value.Loss);
    }
}
