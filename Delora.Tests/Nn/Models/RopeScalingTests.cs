using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn.Models;

/// <summary>Rotary frequencies: against numbers computed by hand, and against the formulas in float64, written another way.</summary>
public sealed class RopeScalingTests
{
    private const int Positions = 131072;

    [Fact]
    public void NumbersByHand()
    {
        Close([1, 0.1], new RopeScaling().Frequencies(4, 100, Positions));
        Close([0.25, 0.025], new RopeScaling { Type = RopeType.Linear, Factor = 4 }.Frequencies(4, 100, Positions));
        // 200.06, 2.0006 and 0.020006 turns in 1257 positions: as it is, a third of the way from 1 to 4 turns, and an eighth.
        Close([1, 0.004168351434439946, 1.25e-5], Llama3(1257).Frequencies(6, 1e6, Positions));
        // 32 turns at 1.4948, one turn at 2.99999 of the frequencies 1, 0.1, 0.01 and 0.001; rounded outwards 1 and 3.
        RopeScaling yarn = new() { Type = RopeType.Yarn, Factor = 4, OriginalMaxPositionEmbeddings = 6283 };
        Close([1, 0.1, 0.00625, 0.00025], yarn.Frequencies(8, 1e4, Positions));
        Close([1, 0.1, 0.007482828318248591, 0.00025], (yarn with { Truncate = false }).Frequencies(8, 1e4, Positions));
    }

    [Fact]
    public void AnglesAreRoundedToFloat32()
    {
        const int position = 77_777;
        const float frequency = 0.3f;
        using var table = new RotaryTable(1 << 17, [frequency], factor: 1, Devices.Cpu);
        using var scope = new TensorScope("test");
        // (1, 0) turned is (cos, sin).
        float[] y = table.Apply(Tensor.From([1f, 0], [1, 1, 1, 2], Devices.Cpu), null, position + 1).ToArray<float>();
        float rounded = position * frequency;
        Assert.Equal([Math.Cos(rounded), Math.Sin(rounded)], y.Select(value => (double)value), (a, b) => Math.Abs(a - b) < 1e-6);
        // The angle itself is another: it tells the two apart.
        Assert.True(Math.Abs(Math.Cos(position * (double)frequency) - y[0]) > 1e-4);
    }

    [Theory]
    [InlineData(64, 10000, 8, 1, 4, 8192)]
    [InlineData(128, 500000, 8, 1, 4, 8192)]
    [InlineData(128, 500000, 32, 1, 4, 8192)]
    [InlineData(16, 10000, 2.5, 0.5, 1.5, 300)]
    public void Llama3MatchesItsFormula(int dim, double theta, double factor, double low, double high, int length)
    {
        var scaling = new RopeScaling
        {
            Type = RopeType.Llama3,
            Factor = factor,
            LowFreqFactor = low,
            HighFreqFactor = high,
            OriginalMaxPositionEmbeddings = length,
        };
        // The model card's three cases of the wavelength, as one interpolation between the kept and the stretched frequency.
        Close([.. Plain(dim, theta).Select(e =>
        {
            double kept = Math.Clamp((length * e / (2 * Math.PI) - low) / (high - low), 0, 1);
            return e * (kept + (1 - kept) / factor);
        })], scaling.Frequencies(dim, theta, Positions));
        Assert.Equal(1, scaling.CosineFactor(Positions));
    }

    [Theory]
    [InlineData(128, 1e6, 4, 32768, null, null, true)]
    [InlineData(64, 10000, 16, 4096, null, null, true)]
    [InlineData(64, 150000, 32, 4096, 32.0, 1.0, false)]
    [InlineData(32, 10000, 2, 2048, 16.0, 2.0, true)]
    [InlineData(8, 10000, 2, 4, 3.0, 3.0, true)]
    [InlineData(8, 10000, 2, 40, 3.0, 3.0, false)]
    public void YarnMatchesItsFormula(int dim, double theta, double factor, int length, double? fast, double? slow, bool truncate)
    {
        var scaling = new RopeScaling
        {
            Type = RopeType.Yarn,
            Factor = factor,
            OriginalMaxPositionEmbeddings = length,
            BetaFast = fast,
            BetaSlow = slow,
            Truncate = truncate ? null : false,
        };
        // θ^(2i/dim) = L / (2π turns), solved for i.
        double Number(double turns) => Math.Log(length / (2 * Math.PI * turns), theta) * dim / 2;
        double first = Number(fast ?? 32), last = Number(slow ?? 1);
        if (truncate) (first, last) = (Math.Floor(first), Math.Ceiling(last));
        (first, last) = (Math.Max(0, first), Math.Min(dim - 1, last));
        if (first == last) last += 0.001;
        Close([.. Plain(dim, theta).Select((e, i) =>
        {
            double stretched = i <= first ? 0 : i >= last ? 1 : (i - first) / (last - first);
            return stretched * e / factor + (1 - stretched) * e;
        })], scaling.Frequencies(dim, theta, Positions));
    }

    [Fact]
    public void TheCosineFactorOfYarn()
    {
        RopeScaling yarn = new() { Type = RopeType.Yarn, Factor = 4 };
        Assert.Equal(1.138629436111989, yarn.CosineFactor(Positions), 1e-12);
        Assert.Equal(1.036992729910394, (yarn with { Mscale = 1, MscaleAllDim = 0.707 }).CosineFactor(Positions), 1e-12);
        Assert.Equal(1, (yarn with { Mscale = 0.8, MscaleAllDim = 0.8 }).CosineFactor(Positions), 1e-12);
        // One of the two does not count by itself.
        Assert.Equal(1.138629436111989, (yarn with { Mscale = 3 }).CosineFactor(Positions), 1e-12);
        Assert.Equal(1.138629436111989, (yarn with { Mscale = 3, MscaleAllDim = 0 }).CosineFactor(Positions), 1e-12);
        Assert.Equal(0.7, (yarn with { AttentionFactor = 0.7, Mscale = 1, MscaleAllDim = 2 }).CosineFactor(Positions));
        Assert.Equal(1, (yarn with { Factor = 0.5 }).CosineFactor(Positions));
        // Without a factor: the length there is over the length of the training.
        RopeScaling implied = new() { Type = RopeType.Yarn, OriginalMaxPositionEmbeddings = Positions / 4 };
        Assert.Equal(1.138629436111989, implied.CosineFactor(Positions), 1e-12);
        Assert.Equal((implied with { Factor = 4 }).Frequencies(64, 10000, Positions), implied.Frequencies(64, 10000, Positions));
    }

    [Fact]
    public void WithoutAnOriginalLengthItIsTheLongestSequence()
    {
        foreach (RopeScaling scaling in (RopeScaling[])[Llama3(512), new() { Type = RopeType.Yarn, Factor = 4, OriginalMaxPositionEmbeddings = 512 }])
            Assert.Equal(scaling.Frequencies(32, 10000, 4096), (scaling with { OriginalMaxPositionEmbeddings = null }).Frequencies(32, 10000, 512));
    }

    [Fact]
    public void TheTableHoldsTheAnglesOfTheFrequencies()
    {
        using var scope = new TensorScope("table");
        using var table = new RotaryTable(9, [0.5f, 0.03f], 1.25f, Devices.Reference);
        // A pair (1, 0) becomes (cos, sin).
        Tensor x = Tensor.From([.. Enumerable.Repeat((double[])[1, 1, 0, 0], 9).SelectMany(row => row)], [1, 9, 1, 4], Devices.Reference);
        double[] turned = table.Apply(x, null, 9).ToArray<double>();
        OpTesting.Close([.. Enumerable.Range(0, 9).SelectMany(p => (double[])[
            1.25 * Math.Cos(p * 0.5), 1.25 * Math.Cos(p * 0.03), 1.25 * Math.Sin(p * 0.5), 1.25 * Math.Sin(p * 0.03)])], turned, 1e-6);
    }

    private static RopeScaling Llama3(int length) => new()
    {
        Type = RopeType.Llama3,
        Factor = 8,
        LowFreqFactor = 1,
        HighFreqFactor = 4,
        OriginalMaxPositionEmbeddings = length,
    };

    private static double[] Plain(int dim, double theta) => [.. Enumerable.Range(0, dim / 2).Select(i => Math.Pow(theta, -2.0 * i / dim))];

    /// <summary>To a few roundings of float32, each number by itself.</summary>
    private static void Close(double[] expected, float[] frequencies)
    {
        Assert.Equal(expected.Length, frequencies.Length);
        foreach ((int i, (double want, float got)) in expected.Zip(frequencies).Index())
            Assert.True(Math.Abs(want - got) <= 3e-6 * want, $"frequency {i}: expected {want}, got {got}");
    }
}
