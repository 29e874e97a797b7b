using Delora.Bench;

namespace Delora.Tests.Bench;

/// <summary>What is checked before whole layers and models are timed.</summary>
public sealed class DifferenceTests
{
    [Fact]
    public void ProductsOfEveryStorageAreCheckedBeforeTheyAreTimed()
    {
        FrozenRun.Validate();
        Assert.Contains("nothing is timed", Assert.Throws<InvalidOperationException>(() => FrozenRun.Validate(tolerance: 1e-12)).Message, StringComparison.Ordinal);
    }

    /// <summary>The Max of a sequence passes NaN over: a result that nobody wrote was right.</summary>
    [Fact]
    public void NaNIsNeverWithinATolerance()
    {
        Assert.True(Difference.Of([1, -4, 2], [1, -4, 2.5]) is { Error: 0.5, Largest: 4 } near && near.IsWithin(0.125) && !near.IsWithin(0.1));
        foreach (double[] found in (double[][])[[double.NaN, -4, 2], [1, -4, double.NaN], [1, double.PositiveInfinity, 2]])
            Assert.False(Difference.Of([1, -4, 2], found).IsWithin(1e9));
        Assert.False(Difference.Of([1, double.NaN], [1, 2]).IsWithin(1e9));
        Assert.Throws<InvalidOperationException>(() => Difference.Of([1, 2], [1]));
        Assert.Throws<InvalidOperationException>(() => Difference.Of([], []));
    }
}
