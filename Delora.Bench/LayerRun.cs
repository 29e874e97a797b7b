using System.Diagnostics;
using System.Globalization;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Bench;

/// <summary>
/// What a DeLoRA adapter costs: a linear layer with it, forward and backward with all gradients through the tape (fold, product, norms, bias), beside
/// the same frozen layer without it. The two take turns in one process, so that whatever disturbs the machine disturbs both.
/// </summary>
internal static class LayerRun
{
    private const int Rounds = 60, WarmUp = 15;

    internal static readonly (int Tokens, int In, int Out, int Rank)[] Shapes =
        [(512, 768, 768, 8), (512, 768, 768, 32), (2048, 768, 768, 8), (2048, 768, 768, 32), (2048, 2048, 2048, 16)];

    internal static int Run()
    {
        Console.WriteLine($"{Devices.Cpu}; medians of {Rounds} interleaved rounds, forward + backward");
        Console.WriteLine($"{"tokens × in × out, rank",-30}{"frozen",12}{"DeLoRA",12}{"DeLoRA / frozen",20}");
        foreach ((int tokens, int @in, int @out, int rank) in Shapes)
        {
            using Side frozen = new(Devices.Cpu, tokens, @in, @out, 0), adapted = new(Devices.Cpu, tokens, @in, @out, rank);
            Validate(Devices.Cpu, rank);
            (double alone, double with, double ratio) = InTurn(frozen.Step, adapted.Step, WarmUp, Rounds);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{$"{tokens} × {@in} × {@out}, {rank}",-30}{alone,9:F2} ms{with,9:F2} ms{ratio,20:F3}"));
        }
        return 0;
    }

    /// <summary>The layer's output and all its gradients against the float64 reference, at an odd size.</summary>
    internal static void Validate(Device device, int rank, FrozenStorage storage = FrozenStorage.Float32, double tolerance = 1e-4)
    {
        using Side own = new(device, 37, 51, 43, rank, storage), reference = new(Devices.Reference, 37, 51, 43, rank, storage);
        own.Step();
        reference.Step();
        foreach ((string name, double[] got, double[] want) in own.Results().Zip(reference.Results(), (o, r) => (o.Name, o.Values, r.Values)))
        {
            var difference = Difference.Of(want, got);
            if (!difference.IsWithin(tolerance))
                throw new InvalidOperationException($"{name} is off by {difference.Error}, its largest element is {difference.Largest}: nothing is timed.");
        }
    }

    /// <summary>Medians of the milliseconds of two actions that take turns call by call, and of the second's over the first's.</summary>
    internal static (double First, double Second, double Ratio) InTurn(Action first, Action second, int warmUp, int rounds)
    {
        double[] a = new double[rounds], b = new double[rounds], ratios = new double[rounds];
        for (int round = -warmUp; round < rounds; round++)
        {
            double one = Time(first), other = Time(second);
            if (round >= 0) (a[round], b[round], ratios[round]) = (one, other, other / one);
        }
        return (Median(a), Median(b), Median(ratios));
    }

    private static double Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    internal static double Median(double[] values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>One layer with its input and its upstream gradient.</summary>
    internal sealed class Side : IDisposable
    {
        private readonly Linear _layer;
        private readonly Parameter _x;
        private readonly Tensor _dy;
        private readonly ParameterArena _arena;

        internal Side(Device device, int tokens, int @in, int @out, int rank, FrozenStorage storage = FrozenStorage.Float32)
        {
            var random = new Generator(7);
            _layer = new Linear(@in, @out, device, random);
            _layer.Freeze(new FrozenWeightOptions { Storage = storage });
            _x = new Parameter("x", Initialization.Normal([tokens, @in], 1, device, random, "x"));
            _dy = Initialization.Normal([tokens, @out], 1, device, random, "dy");
            List<Parameter> parameters = [_x];
            if (rank > 0)
            {
                DeloraAdapter adapter = DeloraAdapter.Create(_layer.Adapters.BaseColumnNorms(), @out, rank, 15, random, randomB: true);
                _layer.Adapters.Add("default", adapter);
                _layer.Adapters.Activate("default");
                parameters.AddRange(adapter.Parameters.Select(pair => pair.Parameter));
            }
            _arena = new ParameterArena(parameters);
        }

        internal void Step()
        {
            _arena.ZeroGradients();
            using var tape = new Tape();
            tape.Backward(_layer.Forward(_x), _dy);
        }

        internal List<(string Name, double[] Values)> Results()
        {
            using var scope = new TensorScope();
            return [("y", _layer.Forward(_x).ToArray<double>()),
                .. _arena.Parameters.Select(parameter => ($"gradient of {parameter.Name}", parameter.Gradient!.ToArray<double>()))];
        }

        public void Dispose()
        {
            _arena.Dispose();
            _layer.Dispose();
            _x.Dispose();
            _dy.Dispose();
        }
    }
}
