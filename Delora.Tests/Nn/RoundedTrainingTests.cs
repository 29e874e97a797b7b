using Delora.Autograd;
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

    /// <summary>A wrong gradient is as large as the right one; rounded factors make a few hundredths of it.</summary>
    [Theory, MemberData(nameof(Cards))]
    public void GradientsOfEachParameterAreFloat32sWithinTheRounding(string name)
    {
        List<(string Name, float[] Values)> precise = Gradients(name, MatMulPrecision.Float32), rounded = Gradients(name, MatMulPrecision.BFloat16);
        Assert.NotEmpty(precise);
        foreach (((string parameter, float[] expected), (_, float[] actual)) in precise.Zip(rounded))
        {
            double distance = Math.Sqrt(expected.Zip(actual, (a, b) => Math.Pow(a - b, 2)).Sum()), length = Math.Sqrt(expected.Sum(a => (double)a * a));
            // λ has no gradient where the update is 0, as it is at the start.
            Assert.True((length > 0 || parameter.Contains("lambda", StringComparison.Ordinal)) && distance <= 0.05 * length, $"{parameter}: differs by {distance}, of {length}");
        }
        Assert.Contains(precise.Zip(rounded), pair => !pair.First.Values.SequenceEqual(pair.Second.Values));
    }

    private static List<(string Name, float[] Values)> Gradients(string name, MatMulPrecision precision)
    {
        Device device = TestDevices.Get(name);
        using var scope = new PrecisionScope(device, precision);
        using LlamaForCausalLM model = TinyLlama.Create(s_config, device, freeze: false);
        model.Freeze(new FrozenWeightOptions { Storage = FrozenStorage.BFloat16, OutputStorage = FrozenStorage.BFloat16 });
        using var peft = new PeftModel(model);
        peft.AddAdapter(
            new DeloraConfig { R = 2, DeloraLambda = 4, TargetModules = ModuleSelector.AllLinear, ResidualInitialization = true }, new Generator(9));
        int[] ids = [.. Enumerable.Range(0, 2 * Length + 1).Select(i => i * i % Vocabulary)];
        using (var tape = new Tape())
        {
            Tensor inputs = Tensor.FromIndices(ids[..^1], [2, Length], device, "ids");
            tape.Backward(model.Loss(inputs, Tensor.FromIndices(ids[1..], [2, Length], device, "targets")));
        }
        return [.. peft.TrainableParameters().Select(entry => (entry.Name, entry.Parameter.Gradient!.ToArray<float>()))];
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
