using Delora.Core;

namespace Delora.Tests.Core;

public class GeneratorTests
{
    [Fact]
    public void Reserved_pieces_follow_one_another()
    {
        var generator = new Generator(7);
        Assert.Equal(new RandomStream(7, 0), generator.Reserve(5));
        Assert.Equal(new RandomStream(7, 5), generator.Reserve(0));
        Assert.Equal(new RandomStream(7, 5), generator.Reserve(1L << 40));
        Assert.Equal(new GeneratorState(7, 5 + (1UL << 40)), generator.State);
        Assert.Throws<ArgumentOutOfRangeException>(() => generator.Reserve(-1));
    }

    [Fact]
    public void A_restored_state_continues_with_the_same_numbers()
    {
        var generator = new Generator(7);
        generator.FillNormal(new float[13]);
        GeneratorState state = generator.State;
        float[] first = new float[9], again = new float[9];
        generator.FillNormal(first);
        int[] order = generator.Permutation(50);
        var restored = new Generator(0) { State = state };
        restored.FillNormal(again);
        Assert.Equal(first, again);
        Assert.Equal(order, restored.Permutation(50));
    }

    [Fact]
    public void Uniform_numbers_have_the_moments_and_bounds_of_their_interval()
    {
        var values = new float[200_000];
        new Generator(1).FillUniform(values, -2, 4);
        Assert.All(values, value => Assert.InRange(value, -2, MathF.BitDecrement(4)));
        // Standard error of the mean: 6/√12/√n ≈ 0.0039; of the variance 3 ≈ 0.006.
        double mean = values.Average(value => (double)value);
        Assert.Equal(1, mean, 0.02);
        Assert.Equal(3, values.Average(value => (value - mean) * (value - mean)), 0.03);
    }

    [Fact]
    public void The_upper_bound_is_never_reached_by_rounding()
    {
        var values = new float[10_000];
        float hi = MathF.BitIncrement(MathF.BitIncrement(1f));
        new Generator(1).FillUniform(values, 1, hi);
        Assert.Equal([1f, MathF.BitIncrement(1f)], values.Distinct().Order());
    }

    [Theory]
    [InlineData(float.NaN, 1)]
    [InlineData(0, float.PositiveInfinity)]
    [InlineData(1, 0)]
    public void Bounds_that_are_none_are_refused(float lo, float hi) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new Generator(1).FillUniform(new float[1], lo, hi));

    [Fact]
    public void Normal_numbers_have_their_moments()
    {
        var values = new float[200_001];
        new Generator(2).FillNormal(values, 3, 2);
        double mean = values.Average(value => (double)value);
        double variance = values.Average(value => (value - mean) * (value - mean));
        double kurtosis = values.Average(value => Math.Pow((value - mean) / 2, 4));
        // Standard errors: 0.0045, 0.0126, 0.022 (six of them are allowed).
        Assert.Equal(3, mean, 0.027);
        Assert.Equal(4, variance, 0.076);
        Assert.Equal(3, kurtosis, 0.13);
        Assert.All(values, value => Assert.True(float.IsFinite(value)));
        // Two of a pair come from one radius and one angle, and know nothing of each other: the correlation has a standard error of 0.0032.
        double pairs = values.Chunk(2).SkipLast(1).Average(pair => (pair[0] - mean) * (pair[1] - mean)) / variance;
        Assert.Equal(0, pairs, 0.019);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(1025)]
    public void A_permutation_holds_every_number_once(int count)
    {
        int[] order = new Generator(3).Permutation(count);
        Assert.Equal(Enumerable.Range(0, count), order.Order());
        Assert.Equal(order, new Generator(3).Permutation(count));
        if (count > 100) Assert.NotEqual(order, new Generator(4).Permutation(count));
    }

    [Fact]
    public void All_orders_are_equally_likely()
    {
        var generator = new Generator(5);
        var counts = new Dictionary<string, int>();
        for (int i = 0; i < 24_000; i++)
        {
            string order = string.Concat(generator.Permutation(4));
            counts[order] = counts.GetValueOrDefault(order) + 1;
        }
        // Chi squared with 23 degrees of freedom: 58 is passed by chance once in 10^4.
        Assert.Equal(24, counts.Count);
        Assert.True(counts.Values.Sum(count => (count - 1000.0) * (count - 1000.0) / 1000.0) < 58);
    }
}
