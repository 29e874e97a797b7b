using System.Diagnostics;
using System.Globalization;
using Delora.Bench.Compare;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Bench;

/// <summary>
/// Whole models whose frozen weights are kept in different storages, in turn in one process: training steps with their peak memory, and decoding.
/// </summary>
internal static class FrozenModelsRun
{
    private const int Rounds = 5, Tokens = 24, Context = 64;

    private static readonly FrozenWeightOptions[] s_ways =
    [
        new() { Directions = FrozenDirections.Both }, new(), new() { Storage = FrozenStorage.BFloat16 },
        new() { Storage = FrozenStorage.Nf4, OutputStorage = FrozenStorage.BFloat16 },
    ];

    /// <summary>Steps of a model of <see cref="ModelShape.All"/>.</summary>
    internal static int Steps(string name)
    {
        ModelShape shape = ModelShape.Get(name);
        if (shape.Rank == 0) throw new ArgumentException($"{name} trains every weight: none is frozen.");
        StepRun.Validate(Devices.Cpu);
        FrozenRun.Validate();
        OwnStep[] sides = [.. s_ways.Select(way => new OwnStep(shape, Environment.ProcessorCount, way))];
        double[][] times = Times(sides, side => side.Run(), Rounds, warmUp: side =>
        {
            side.Run();
            side.ResetPeak();
        });
        Console.WriteLine($"{name}, training steps, medians of {Rounds} interleaved rounds");
        foreach ((int i, OwnStep side) in sides.Index())
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{s_ways[i],-44}{s_ways[i].Directions,-6}{LayerRun.Median(times[i]),10:F1} ms{Ratio(times, i),8:F3}"
                + $"{side.PeakBytes / (double)(1 << 20),10:F0} MiB at most"));
            side.Dispose();
        }
        return 0;
    }

    /// <summary>One token after the other, from a Llama of 135 million parameters.</summary>
    internal static int Decode()
    {
        StepRun.Validate(Devices.Cpu);
        FrozenRun.Validate();
        LlamaConfig config = OwnStep.Config(ModelShape.Get("llama-135m")) with { MaxPositionEmbeddings = Context };
        FrozenWeightOptions[] ways =
            [.. ((FrozenStorage[])[FrozenStorage.Float32, FrozenStorage.BFloat16, FrozenStorage.Float16, FrozenStorage.Int8, FrozenStorage.Nf4])
                .Select(storage => new FrozenWeightOptions { Storage = storage, OutputStorage = storage.IsQuantized ? FrozenStorage.BFloat16 : storage })];
        LlamaForCausalLM[] models = [.. ways.Select(way =>
        {
            LlamaForCausalLM model = LlamaForCausalLM.Create(config, Devices.Cpu, new Generator(7));
            model.Freeze(way);
            return model;
        })];
        double[][] times = Times(models, Generate, Rounds, Generate);
        Console.WriteLine($"llama-135m, {Tokens} tokens one by one, medians of {Rounds} interleaved rounds");
        foreach ((int i, LlamaForCausalLM model) in models.Index())
        {
            FrozenWeightReport report = FrozenWeightReport.Of(model);
            double median = LayerRun.Median(times[i]);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{ways[i],-44}{median / Tokens,10:F2} ms a token{1000 * Tokens / median,9:F1} tokens/s{Ratio(times, i),8:F3}"
                + $"{report.ByteLength / (double)(1 << 20),10:F0} MiB, error {report.Error.Relative:F5}"));
            model.Dispose();
        }
        return 0;
    }

    private static void Generate(LlamaForCausalLM model)
    {
        using KeyValueCache cache = model.CreateCache(1, Context);
        for (int i = 0; i < Tokens; i++)
        {
            using var scope = new TensorScope("token");
            model.ForwardLast(Tensor.From([i % model.Config.VocabSize], [1, 1], model.Device, "ids"), cache);
        }
    }

    /// <summary>Milliseconds of each side in each round.</summary>
    private static double[][] Times<T>(T[] sides, Action<T> run, int rounds, Action<T> warmUp)
    {
        double[][] times = [.. sides.Select(_ => new double[rounds])];
        foreach (T side in sides) warmUp(side);
        for (int round = 0; round < rounds; round++)
            foreach ((int i, T side) in sides.Index())
            {
                long start = Stopwatch.GetTimestamp();
                run(side);
                times[i][round] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
        return times;
    }

    /// <summary>The median of a side's times over those of the first in the same rounds.</summary>
    private static double Ratio(double[][] times, int side) => LayerRun.Median([.. times[side].Zip(times[0], (own, first) => own / first)]);
}
