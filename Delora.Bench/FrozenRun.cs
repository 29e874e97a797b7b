using System.Diagnostics;
using System.Globalization;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench;

/// <summary>
/// What the storage of a frozen weight costs and saves: memory, error, and the time of y = x Wᵀ and dx = dy W, of one token (out of memory: as many
/// weights as a cache does not hold, one after the other) and of many. All storages take turns in one process.
/// </summary>
internal static class FrozenRun
{
    private const int WarmUp = 2, Rounds = 9;

    /// <summary>Bytes of float32 weights that are gone through for one token.</summary>
    private const long ManyBytes = 192L << 20;

    private static readonly (int Tokens, int In, int Out)[] s_shapes =
        [(1, 768, 3072), (1, 2048, 2048), (4, 2048, 2048), (16, 2048, 2048), (256, 576, 1536), (512, 768, 768), (512, 768, 3072), (512, 3072, 768),
            (166, 768, 50257)];

    private static readonly (FrozenStorage Storage, FrozenDirections Directions)[] s_ways =
    [
        (FrozenStorage.Float32, FrozenDirections.Both), (FrozenStorage.Float32, FrozenDirections.One), (FrozenStorage.BFloat16, FrozenDirections.Both),
        (FrozenStorage.BFloat16, FrozenDirections.One), (FrozenStorage.Float16, FrozenDirections.One), (FrozenStorage.Int8, FrozenDirections.One),
        (FrozenStorage.Nf4, FrozenDirections.One),
    ];

    internal static int Run(string filter)
    {
        Validate();
        Console.WriteLine($"{Devices.Cpu}; medians of {Rounds} interleaved rounds; beside them the time over that of float32 in both layouts");
        Console.WriteLine(
            $"{"tokens × in × out",-20}{"storage",-10}{"layouts",-8}{"MiB",9}{"error",10}{"forward",13}{"",7}{"backward",13}{"",7}{"forward GB/s",14}");
        foreach ((int tokens, int @in, int @out) in s_shapes)
        {
            string name = $"{tokens} × {@in} × {@out}";
            if (!name.StartsWith(filter, StringComparison.Ordinal)) continue;
            int copies = tokens <= 16 ? (int)Math.Max(1, ManyBytes / (4L * @in * @out)) : 1;
            Side[] sides = [.. s_ways.Select(way => new Side(way.Storage, way.Directions, tokens, @in, @out, copies))];
            double[][] forward = Rows(), backward = Rows();
            for (int round = -WarmUp; round < Rounds; round++)
                foreach ((int i, Side side) in sides.Index())
                {
                    double y = side.Forward(), dx = side.Backward();
                    if (round >= 0) (forward[i][round], backward[i][round]) = (y, dx);
                }
            double first = LayerRun.Median(forward[0]), firstBack = LayerRun.Median(backward[0]);
            foreach ((int i, Side side) in sides.Index())
            {
                (double y, double dx) = (LayerRun.Median(forward[i]), LayerRun.Median(backward[i]));
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{name,-20}{s_ways[i].Storage.Name,-10}{s_ways[i].Directions,-8}{side.Bytes / (double)(1 << 20),9:F2}{side.Error,10:F5}"
                    + $"{y,10:F3} ms{y / first,7:F2}{dx,10:F3} ms{dx / firstBack,7:F2}{side.OneLayout / y / 1e6,14:F1}"));
                side.Dispose();
            }

            double[][] Rows() => [.. sides.Select(_ => new double[Rounds])];
        }
        return 0;
    }

    /// <summary>Products of every storage, of few rows and of more, against the kept weight in float64; at odd sizes.</summary>
    /// <param name="tolerance">The largest difference over the largest element.</param>
    /// <exception cref="InvalidOperationException">One is wrong.</exception>
    internal static void Validate(double tolerance = 1e-5)
    {
        foreach ((FrozenStorage storage, FrozenDirections directions) in s_ways)
            foreach (int tokens in (int[])[1, 3, 19])
            {
                using Side side = new(storage, directions, tokens, 131, 67, copies: 1);
                foreach (Difference difference in side.Differences())
                    if (!difference.IsWithin(tolerance))
                        throw new InvalidOperationException(
                            $"{storage.Name}, {directions}, {tokens} rows: a product is off by {difference.Error}, the largest element is {difference.Largest}: "
                            + "nothing is timed.");
            }
    }

    /// <summary>Weights of one storage with operands.</summary>
    private sealed class Side : IDisposable
    {
        private readonly FrozenWeight[] _weights;
        private readonly Tensor _x, _dy, _y, _dx;

        internal Side(FrozenStorage storage, FrozenDirections directions, int tokens, int @in, int @out, int copies)
        {
            Device device = Devices.Cpu;
            Random random = new(7);
            using Tensor w = Tensor.From(Numbers((long)@out * @in), [@out, @in], device, "W");
            _weights = [.. Enumerable.Range(0, copies).Select(_ => FrozenWeight.Create(w, storage, directions))];
            OneLayout = _weights[0].ByteLength;
            _x = Tensor.From(Numbers((long)tokens * @in), [tokens, @in], device, "x");
            _dy = Tensor.From(Numbers((long)tokens * @out), [tokens, @out], device, "dy");
            _y = Tensor.Empty([tokens, @out], DType.Float32, device, "y");
            _dx = Tensor.Empty([tokens, @in], DType.Float32, device, "dx");

            float[] Numbers(long count) => [.. Enumerable.Range(0, checked((int)count)).Select(_ => (random.NextSingle() - 0.5f) * random.NextSingle())];
        }

        internal long OneLayout { get; }

        internal long Bytes => _weights[0].ByteLength;

        internal double Error => _weights[0].Error.Relative;

        internal double Forward() => Time(weight => FrozenLinearKernel.Forward(_x, weight, null, _y));

        internal double Backward() => Time(weight => FrozenLinearKernel.Backward(_dy, weight, _dx));

        /// <summary>Both products beside those with the kept weight in float64.</summary>
        internal Difference[] Differences()
        {
            foreach (Tensor output in (Tensor[])[_y, _dx]) output.CopyFrom<float>(Enumerable.Repeat(float.NaN, (int)output.ElementCount).ToArray());
            Forward();
            Backward();
            using Tensor kept = _weights[0].ToTensor();
            double[] w = kept.ToArray<double>(), x = _x.ToArray<double>(), dy = _dy.ToArray<double>();
            (int tokens, int @in, int @out) = (_x.Shape[0], _x.Shape[1], _y.Shape[1]);
            double[] y = new double[tokens * @out], dx = new double[tokens * @in];
            for (int t = 0; t < tokens; t++)
                for (int i = 0; i < @out; i++)
                    for (int j = 0; j < @in; j++)
                    {
                        y[t * @out + i] += x[t * @in + j] * w[i * @in + j];
                        dx[t * @in + j] += dy[t * @out + i] * w[i * @in + j];
                    }
            return [Difference.Of(y, _y.ToArray<double>()), Difference.Of(dx, _dx.ToArray<double>())];
        }

        public void Dispose()
        {
            foreach (IDisposable disposable in (IDisposable[])[.. _weights, _x, _dy, _y, _dx]) disposable.Dispose();
        }

        /// <summary>Milliseconds for one weight.</summary>
        private double Time(Action<FrozenWeight> product)
        {
            long start = Stopwatch.GetTimestamp();
            foreach (FrozenWeight weight in _weights) product(weight);
            return Stopwatch.GetElapsedTime(start).TotalMilliseconds / _weights.Length;
        }
    }
}
