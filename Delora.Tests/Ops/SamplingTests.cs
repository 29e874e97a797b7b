using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class SamplingTests
{
    private const double Inf = double.PositiveInfinity;

    private static readonly RandomStream s_stream = new(42, 7);

    private static readonly SamplingOptions[] s_options =
    [
        new() { Temperature = 1 },
        new() { Temperature = 0.7, TopK = 1 },
        new() { Temperature = 1.3, TopK = 40 },
        new() { Temperature = 0.8, TopP = 0.9 },
        new() { Temperature = 2, TopK = 2048, TopP = 0.5 },
        new() { Temperature = 1, TopK = 4999, TopP = 0.999 },
    ];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int vocabulary in (int[])[1, 2, 31, 32, 33, 127, 129, 1025, 5000, 20011])
        {
            if (name == "simulator" && vocabulary > 33) continue;
            foreach (int rows in (int[])[0, 1, 5])
            {
                double[] logits = OpTesting.Numbers(rows * vocabulary, vocabulary + rows, scale: 6);
                foreach (SamplingOptions options in s_options)
                    Assert.Equal(Run(Devices.Reference, logits, rows, options), Run(device, logits, rows, options));
            }
        }
    }

    [Fact]
    public void TheReferenceDrawsFromTheSetsThatSortingFinds()
    {
        foreach (int vocabulary in (int[])[1, 2, 33, 1025])
            foreach (SamplingOptions options in s_options)
            {
                double[] logits = OpTesting.Numbers(3 * vocabulary, vocabulary, scale: 6);
                Assert.Equal(
                    Enumerable.Range(0, 3).Select(row => Oracle(logits[(row * vocabulary)..((row + 1) * vocabulary)], row, options)),
                    Run(Devices.Reference, logits, 3, options));
            }
    }

    /// <summary>Every token that is kept occurs, and no other.</summary>
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void KeptAreTheMostLikelyAndTheirEquals(string name)
    {
        // Probabilities 4, 2, 1, 1, 1, 1 of 10 at T = 1, and one token that is never chosen.
        double[] logits = [Math.Log(1), Math.Log(4), -Inf, Math.Log(1), Math.Log(2), Math.Log(1), Math.Log(1)];
        (int K, double P, int[] Kept)[] cases =
        [
            (0, 1, [0, 1, 3, 4, 5, 6]), (1, 1, [1]), (2, 1, [1, 4]), (3, 1, [0, 1, 3, 4, 5, 6]), (6, 1, [0, 1, 3, 4, 5, 6]),
            (100, 1, [0, 1, 3, 4, 5, 6]), (0, 1e-9, [1]), (0, 0.39, [1]), (0, 0.41, [1, 4]), (0, 0.59, [1, 4]),
            (0, 0.61, [0, 1, 3, 4, 5, 6]), (0, 1 - 1e-12, [0, 1, 3, 4, 5, 6]),
            // Of the two that top-k leaves, the first has 2/3.
            (2, 0.66, [1]), (2, 0.67, [1, 4]),
        ];
        foreach ((int k, double p, int[] kept) in cases)
            Kept(name, kept, logits, new() { Temperature = 1, TopK = k, TopP = p });
        // A higher temperature lets the most likely token fall below 0.39, which the second then has to fill up.
        Kept(name, [1, 4], logits, new() { Temperature = 2, TopP = 0.39 });
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void ZerosOfBothSignsAreEqual(string name)
    {
        double[] logits = [0.0, -0.0, -1, 0.0, -0.0];
        foreach (SamplingOptions options in (SamplingOptions[])[new() { Temperature = 1, TopK = 1 }, new() { Temperature = 1, TopP = 0.1 }])
            Kept(name, [0, 1, 3, 4], logits, options);
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void FrequenciesAreTheProbabilities(string name)
    {
        Assert.SkipWhen(name == "simulator", "too slow for so many draws; it is compared with the reference elsewhere");
        double[] logits = OpTesting.Numbers(12, 3, scale: 2);
        SamplingOptions[] all = [new() { Temperature = 1 }, new() { Temperature = 0.6, TopK = 8, TopP = 0.9 }];
        foreach (SamplingOptions options in all)
        {
            double[] weights = Weights(logits, options);
            double total = weights.Sum();
            int[] draws = Draws(name, logits, name == "interpreter" ? 1000 : 20_000, options);
            double chiSquare = 0;
            for (int id = 0; id < logits.Length; id++)
            {
                double expected = weights[id] / total * draws.Length, found = draws.Count(draw => draw == id);
                if (expected == 0) Assert.Equal(0, found);
                else chiSquare += (found - expected) * (found - expected) / expected;
            }
            // 11 degrees of freedom: exceeded once in 10 000 times.
            Assert.True(chiSquare < 37.4, $"χ² is {chiSquare}");
        }
    }

    [Fact]
    public void ManyEquallyLikelyTokensHaveNoPreferredPlace()
    {
        int[] draws = Draws("cpu", new double[30_000], 3000, new() { Temperature = 1 });
        // The mean of uniform ids: its standard deviation is 30 000/√12/√3000 = 158.
        Assert.InRange(draws.Average(), 15_000 - 600, 15_000 + 600);
        Assert.InRange(draws.Distinct().Count(), 2800, 2920); // 2855 expected
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void GreedyIsTheFirstLargest(string name)
    {
        double[] logits = [1, 3, -Inf, 3, 2, -5, -Inf, -Inf, -Inf, -3e38];
        foreach (SamplingOptions options in (SamplingOptions[])[default, new(), SamplingOptions.Greedy])
            Assert.Equal([1, 0], Run(TestDevices.Get(name), logits, 2, options));
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void ExtremeTemperaturesAndLogits(string name)
    {
        double[] logits = [-3e38, 1, 1 + 1e-6, -Inf, 3e38, 2, -1e-40, 0];
        foreach (double temperature in (double[])[double.Epsilon, 1e-300, 1e-30, 1])
            foreach (double p in (double[])[1, 0.5])
                Assert.All(Draws(name, logits, 5, new() { Temperature = temperature, TopP = p }), id => Assert.Equal(4, id));
        foreach (double temperature in (double[])[1e45, double.MaxValue])
            Kept(name, [0, 1, 2, 4, 5, 6, 7], logits, new() { Temperature = temperature });
        Kept(name, [4, 5], logits, new() { Temperature = 1e45, TopK = 2 });
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void RowsWithoutALargestFiniteLogitAreRefused(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((double bad, string what) in ((double, string)[])[(double.NaN, "NaN"), (Inf, "+∞"), (-Inf, "no finite element")])
            foreach (SamplingOptions options in (SamplingOptions[])[default, new() { Temperature = 1, TopK = 2, TopP = 0.5 }])
            {
                var logits = new double[4 * 19];
                foreach (int row in (int[])[2, 3])
                    if (bad == -Inf) Array.Fill(logits, bad, row * 19, 19);
                    else logits[row * 19 + 18] = bad;
                var error = Assert.Throws<NonFiniteException>(() => Run(device, logits, 4, options));
                Assert.Equal($"Sampling: row 2 of logits [4, 19] has {what}", error.Message);
            }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void ADrawIsAFunctionOfLogitsAndStream(string name)
    {
        Device device = TestDevices.Get(name);
        const int Rows = 6, Vocabulary = 21;
        double[] logits = OpTesting.Numbers(Rows * Vocabulary, 8);
        var options = new SamplingOptions { Temperature = 1, TopK = 15 };
        int[] ids = Run(device, logits, Rows, options);
        Assert.Equal(ids, Run(device, logits, Rows, options));
        Assert.NotEqual(ids, Run(device, logits, Rows, options, s_stream with { Seed = 43 }));
        for (int row = 0; row < Rows; row++)
        {
            RandomStream own = s_stream with { Offset = s_stream.Offset + (ulong)(row * Vocabulary) };
            Assert.Equal([ids[row]], Run(device, logits[(row * Vocabulary)..((row + 1) * Vocabulary)], 1, options, own));
        }
        // Over the end of the sequence.
        var last = new RandomStream(5, ulong.MaxValue - 9);
        Assert.Equal(Run(Devices.Reference, logits, Rows, options, last), Run(device, logits, Rows, options, last));
    }

    [Fact]
    public void TheChoiceDoesNotDependOnThreads()
    {
        double[] logits = OpTesting.Numbers(3 * 20_011, 4, scale: 5);
        foreach (SamplingOptions options in s_options)
            OpTesting.IndependentOfThreads(device =>
                Tensor.From(Run(device, logits, 3, options).Select(id => (float)id).ToArray(), [3], device));
    }

    [Fact]
    public void OptionsOutsideOfTheirRangesAreRefused()
    {
        foreach (double bad in (double[])[-1, double.NaN, Inf, -Inf])
            Assert.Throws<ArgumentOutOfRangeException>("Temperature", () => Run(Devices.Cpu, [1], 1, new() { Temperature = bad }));
        foreach (double bad in (double[])[0, -0.1, 1.0001, double.NaN, Inf])
            Assert.Throws<ArgumentOutOfRangeException>("TopP", () => Run(Devices.Cpu, [1], 1, new() { Temperature = 1, TopP = bad }));
        Assert.Throws<ArgumentOutOfRangeException>("TopK", () => Run(Devices.Cpu, [1], 1, new() { TopK = -1 }));
        Assert.Throws<ArgumentOutOfRangeException>("Temperature", () => Run(Devices.Cpu, [1], 1, new() { TopK = 3 }));
        Assert.Throws<ArgumentOutOfRangeException>("Temperature", () => Run(Devices.Cpu, [1], 1, new() { TopP = 0.5 }));
    }

    [Fact]
    public void OptionsOfTheSameMeaningAreEqual()
    {
        Assert.Equal(default, new SamplingOptions { TopP = 1 });
        Assert.Equal((0, 0, 1), (SamplingOptions.Greedy.Temperature, SamplingOptions.Greedy.TopK, SamplingOptions.Greedy.TopP));
        Assert.NotEqual(default, new SamplingOptions { TopP = 0.5 });
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void WrongOperandsAreRefused(string name)
    {
        Device device = TestDevices.Get(name);
        using var scope = new TensorScope("sampling");
        Tensor logits = OpTesting.Floats([2, 3], device, 1), ids = Tensor.Zeros([2], DType.Int32, device);
        void Refused<TError>(Tensor z, Tensor y) where TError : Exception =>
            Assert.Throws<TError>(() => SamplingKernel.Forward(z, y, new() { Temperature = 1 }, s_stream));
        Refused<ShapeException>(logits, Tensor.Zeros([3], DType.Int32, device));
        Refused<ShapeException>(OpTesting.Floats([2], device, 1), ids);
        Refused<ShapeException>(OpTesting.Floats([2, 0], device, 1), ids);
        Refused<DTypeException>(logits, OpTesting.Floats([2], device, 1));
        Refused<DTypeException>(Tensor.Zeros([2, 3], DType.Int32, device), ids);
        Refused<DeviceException>(logits, Tensor.Zeros([2], DType.Int32, device == Devices.Cpu ? Devices.Reference : Devices.Cpu));
    }

    /// <summary>Many draws bring out exactly these tokens; where they take too long, a few are the reference's.</summary>
    private static void Kept(string name, int[] expected, double[] logits, SamplingOptions options)
    {
        if (name is "simulator" or "interpreter") Assert.Equal(Draws("reference", logits, 3, options), Draws(name, logits, 3, options));
        else Assert.Equal(expected, Draws(name, logits, 300, options).Distinct().Order());
    }

    /// <summary>So many draws from the same logits: one for each row of a batch.</summary>
    private static int[] Draws(string name, double[] logits, int count, SamplingOptions options) =>
        Run(TestDevices.Get(name), [.. Enumerable.Repeat(logits, count).SelectMany(row => row)], count, options);

    private static int[] Run(Device device, double[] logits, int rows, SamplingOptions options, RandomStream? stream = null)
    {
        int vocabulary = rows == 0 ? 3 : logits.Length / rows;
        using Tensor z = Tensor.From(logits, [rows, vocabulary], device), ids = Tensor.Empty([rows], DType.Int32, device);
        SamplingKernel.Forward(z, ids, options, stream ?? s_stream);
        return ids.ToArray<int>();
    }

    private static int Oracle(double[] logits, int row, SamplingOptions options)
    {
        double[] weights = Weights(logits, options);
        double Race(int id)
        {
            double word = s_stream.Word((long)row * logits.Length + id) >> 1;
            return -Math.Log(1 - (word + 0.5) / (1u << 31)) / weights[id];
        }
        return Enumerable.Range(0, logits.Length).Where(id => weights[id] > 0).MinBy(Race);
    }

    /// <summary>The probabilities up to a factor, after sorting; 0 where a token is not kept. For logits that all differ.</summary>
    private static double[] Weights(double[] logits, SamplingOptions options)
    {
        int[] order = [.. Enumerable.Range(0, logits.Length).OrderByDescending(id => logits[id])];
        if (options.TopK > 0) order = [.. order.Take(options.TopK)];
        var weights = new double[logits.Length];
        double total = order.Sum(id => Math.Exp(logits[id] / options.Temperature)), sum = 0;
        foreach (int id in order)
        {
            if (options.TopP < 1 && sum >= options.TopP * total) break;
            sum += weights[id] = Math.Exp(logits[id] / options.Temperature);
        }
        return weights;
    }
}
