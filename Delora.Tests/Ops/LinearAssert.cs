using Delora.Core;

namespace Delora.Tests.Ops;

/// <summary>Random operands and comparisons for the tests of products.</summary>
internal static class LinearAssert
{
    /// <summary>Numbers in [−1, 1), the same for a seed.</summary>
    internal static float[] Numbers(int seed, long count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, checked((int)count)).Select(_ => random.NextSingle() * 2 - 1)];
    }

    /// <summary>A tensor of <see cref="Numbers"/>.</summary>
    internal static Tensor Operand(int seed, Shape shape, Device device, string name = "operand") =>
        Tensor.From(Numbers(seed, shape.ElementCount), shape, device, name);

    /// <summary>Every element within rounding of a sum of <paramref name="terms"/> products of numbers below 1; NaN fails.</summary>
    internal static void Close(Tensor expected, Tensor actual, int terms, string what = "")
    {
        Assert.Equal(expected.Shape, actual.Shape);
        double[] right = expected.ToArray<double>(), found = actual.ToArray<double>();
        double tolerance = 2e-6 * (1 + Math.Sqrt(terms));
        for (int i = 0; i < right.Length; i++)
            if (!(Math.Abs(right[i] - found[i]) <= tolerance * Math.Max(1, Math.Abs(right[i]))))
                Assert.Fail($"{what} {actual}: element {i} is {found[i]}, the reference device says {right[i]}");
    }
}
