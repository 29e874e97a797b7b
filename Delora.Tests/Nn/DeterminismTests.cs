using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

/// <summary>The same seed gives the same bits: whole training runs, large enough that every kernel cuts its work into several chunks.</summary>
public sealed class DeterminismTests
{
    [Fact]
    public void TheSameSeedGivesTheSameBitsForAnyNumberOfThreadsAndAgain()
    {
        (double[] Losses, float[] Parameters) one = Train(TestDevices.Cpu(1, Simd.Best), seed: 5);
        foreach (int threads in (int[])[1, 2, 3])
        {
            (double[] losses, float[] parameters) = Train(TestDevices.Cpu(threads, Simd.Best), seed: 5);
            Assert.Equal(one.Losses, losses);
            Assert.Equal(one.Parameters, parameters);
        }
        Assert.NotEqual(one.Losses, Train(TestDevices.Cpu(2, Simd.Best), seed: 6).Losses);
    }

    private static (double[] Losses, float[] Parameters) Train(Device device, ulong seed)
    {
        var random = new Generator(seed);
        using var table = new Parameter("table", Initialization.Normal([3000, 64], 0.1, device, random, "table"));
        using var network = new Sequential(new Linear(64, 256, device, random), Activation.Gelu(), new Dropout(0.1f, random), new Linear(256, 37, device, random));
        using var model = new PeftModel(network);
        model.AddAdapter(new DeloraConfig { R = 8, DeloraLambda = 4, TargetModules = "all-linear", ResidualInitialization = true, ModuleDropout = 0.1 }, random);
        network.Train();
        using var optimizer = new AdamW([table, .. model.TrainableParameters().Select(pair => pair.Parameter)], learningRate: 1e-2);
        var trainer = new Trainer<int>(optimizer, step =>
        {
            int[] ids = new int[600 * 7];
            for (int i = 0; i < ids.Length; i++) ids[i] = random.NextInt(3000);
            int[] labels = [.. Enumerable.Range(0, 600).Select(i => (i * 31 + step) % 37)];
            Tensor x = table.Value.EmbeddingBag(
                Tensor.From(ids, [ids.Length], device), Tensor.From([.. Enumerable.Range(0, 601).Select(i => 7 * i)], [601], device));
            return network.Forward(x).CrossEntropy(Tensor.From(labels, [600], device));
        });
        var losses = new List<double>();
        trainer.Run(Enumerable.Range(0, 6), new TrainerOptions { Steps = 6, MaxGradientNorm = 1 }, new Listener(losses));
        return ([.. losses], [.. optimizer.Groups.SelectMany(group => group.Parameters).SelectMany(parameter => parameter.Value.ToArray<float>())]);
    }

    private sealed class Listener(List<double> losses) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => losses.Add(value.Loss);
    }
}
