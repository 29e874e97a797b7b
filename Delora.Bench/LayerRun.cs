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

    private static readonly (int Tokens, int In, int Out, int Rank)[] s_shapes =
        [(512, 768, 768, 8), (512, 768, 768, 32), (2048, 768, 768, 8), (2048, 768, 768, 32), (2048, 2048, 2048, 16)];

    internal static int Run()
    {
        Console.WriteLine($"{Devices.Cpu}; medians of {Rounds} interleaved rounds, forward + backward");
        Console.WriteLine($"{"tokens × in × out, rank",-30}{"frozen",12}{"DeLoRA",12}{"DeLoRA / frozen",20}");
        foreach ((int tokens, int @in, int @out, int rank) in s_shapes)
        {
            using Side frozen = new(Devices.Cpu, tokens, @in, @out, 0), adapted = new(Devices.Cpu, tokens, @in, @out, rank);
            Validate(rank);
            double[] a = new double[Rounds], b = new double[Rounds], ratios = new double[Rounds];
            for (int round = -WarmUp; round < Rounds; round++)
            {
                double first = Time(frozen.Step), second = Time(adapted.Step);
                if (round < 0) continue;
                (a[round], b[round], ratios[round]) = (first, second, second / first);
            }
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{$"{tokens} × {@in} × {@out}, {rank}",-30}{Median(a),9:F2} ms{Median(b),9:F2} ms{Median(ratios),20:F3}"));
        }
        return 0;
    }

    /// <summary>The layer's output and all its gradients on the CPU against the float64 reference, at an odd size.</summary>
    private static void Validate(int rank)
    {
        using Side cpu = new(Devices.Cpu, 37, 51, 43, rank), reference = new(Devices.Reference, 37, 51, 43, rank);
        cpu.Step();
        reference.Step();
        foreach ((string name, double[] got, double[] want) in cpu.Results().Zip(reference.Results(), (c, r) => (c.Name, c.Values, r.Values)))
        {
            double largest = want.Max(Math.Abs), error = got.Zip(want, (g, w) => Math.Abs(g - w)).Max();
            // Written so that NaN fails.
            if (!(error <= 1e-4 * largest)) throw new InvalidOperationException($"{name} is off by {error}, its largest element is {largest}: nothing is timed.");
        }
    }

    internal static double Time(Action action)
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
    private sealed class Side : IDisposable
    {
        private readonly Linear _layer;
        private readonly Parameter _x;
        private readonly Tensor _dy;
        private readonly ParameterArena _arena;

        internal Side(Device device, int tokens, int @in, int @out, int rank)
        {
            var random = new Generator(7);
            _layer = new Linear(@in, @out, device, random);
            _layer.Freeze();
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
