using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Adapters;

public sealed class LowRankUpdateTests
{
    [Theory, InlineData(9, 7, 3), InlineData(4, 11, 6), InlineData(11, 4, 6), InlineData(3, 5, 8), InlineData(1, 6, 2), InlineData(6, 1, 1)]
    public void CuttingGivesTheNearestOfEveryRank(int @in, int @out, int rank)
    {
        LowRankUpdate update = Random(@in, @out, rank, seed: 1);
        double[] exact = Dense(update);
        int most = Math.Min(@in, @out);
        double[] values = [.. update.SingularValues()];
        Assert.Equal(values.OrderDescending(), values);
        Assert.Equal(Norm(exact), Math.Sqrt(values.Sum(value => value * value)), 1e-12 * Norm(exact));
        for (int keep = 1; keep <= most; keep++)
        {
            LowRankUpdate cut = update.Compress(RankChoice.Fixed(keep));
            Assert.Equal((keep, @in, @out), (cut.Rank, cut.In, cut.Out));
            // Eckart and Young: what is lost is the rest of the singular values, and no less is possible.
            Assert.Equal(Math.Sqrt(values.Skip(keep).Sum(value => value * value)), Norm([.. Dense(cut).Zip(exact, (a, b) => a - b)]), 1e-12 * Norm(exact));
            // Vᵀ has orthonormal rows, also beyond the update's own rank.
            for (int i = 0; i < keep; i++)
                for (int j = 0; j < keep; j++)
                    Assert.Equal(i == j ? 1 : 0, Enumerable.Range(0, @in).Sum(x => cut.A[i * @in + x] * cut.A[j * @in + x]), 1e-12);
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => update.Compress(RankChoice.Fixed(most + 1)));
        // Python's slice [:-n], which PEFT takes: all but the last n of min(in, out) directions.
        for (int less = 1; less < most; less++)
        {
            LowRankUpdate sliced = update.Compress(RankChoice.Fixed(-less, PeftCompatibility.Strict)), cut = update.Compress(RankChoice.Fixed(most - less));
            Assert.Equal(cut.Rank, sliced.Rank);
            Assert.Equal(cut.A.ToArray(), sliced.A.ToArray());
            Assert.Equal(cut.B.ToArray(), sliced.B.ToArray());
        }
        foreach (int all in (int[])[-most, -most - 1, int.MinValue])
            Assert.Throws<ArgumentOutOfRangeException>(() => update.Compress(RankChoice.Fixed(all, PeftCompatibility.Strict)));
    }

    [Fact]
    public void AnEnergyShareTakesTheSmallestRankThatKeepsIt()
    {
        LowRankUpdate update = Random(12, 10, 5, seed: 2);
        double[] energy = [.. update.SingularValues().Select(value => value * value)];
        double total = energy.Sum();
        for (int rank = 1; rank <= 5; rank++)
        {
            double share = energy.Take(rank).Sum() / total;
            Assert.Equal(rank, update.Compress(RankChoice.EnergyShare(Math.Min(1, share * (1 - 1e-9)))).Rank);
            if (rank < 5) Assert.Equal(rank + 1, update.Compress(RankChoice.EnergyShare(share * (1 + 1e-9))).Rank);
        }
        Assert.Same(update, update.Compress(RankChoice.Exact));
        // PEFT keeps one direction of an update that is zero.
        using LoraAdapter zero = LoraAdapter.Create(4, 3, 2, 1, Devices.Cpu, new Generator(1));
        LowRankUpdate none = LowRankUpdate.Of(zero).Compress(RankChoice.EnergyShare(0.5));
        Assert.Equal(1, none.Rank);
        Assert.All(Dense(none), value => Assert.Equal(0, value));
    }

    [Fact]
    public void SumsAreExactAndCheckTheirTerms()
    {
        LowRankUpdate one = Random(6, 5, 2, seed: 3), other = Random(6, 5, 3, seed: 4);
        LowRankUpdate sum = LowRankUpdate.Sum((0.5, one), (-2, other), (1, one));
        Assert.Equal(7, sum.Rank);
        Assert.Equal(Dense(one).Zip(Dense(other), (a, b) => 1.5 * a - 2 * b), Dense(sum), (a, b) => Math.Abs(a - b) < 1e-12);
        // What cancels leaves nothing, and a rank-1 remainder is found.
        Assert.Equal(0, LowRankUpdate.Sum((1, one), (-1, one)).SingularValues().Max(), 1e-12);
        Assert.Throws<ShapeException>(() => LowRankUpdate.Sum((1, one), (1, Random(5, 6, 2, seed: 5))));
        Assert.Throws<NonFiniteException>(() => LowRankUpdate.Sum((double.PositiveInfinity, one)));
        Assert.Throws<ArgumentException>(() => LowRankUpdate.Sum());
        foreach (int rank in (int[])[0, -1]) Assert.Throws<ArgumentOutOfRangeException>(() => RankChoice.Fixed(rank));
        Assert.Throws<ArgumentOutOfRangeException>(() => RankChoice.Fixed(0, PeftCompatibility.Strict));
        foreach (double share in (double[])[0, -1, 1.01, double.NaN]) Assert.Throws<ArgumentOutOfRangeException>(() => RankChoice.EnergyShare(share));
    }

    /// <summary>Factors that are finite in float32 with a product that is not, by themselves, added up, and cut.</summary>
    [Fact]
    public void WhatFloat32DoesNotHoldIsRefused()
    {
        Assert.Throws<NonFiniteException>(() => Filled(1e20f, 1e20f));
        LowRankUpdate large = Filled(1e10f, 2e28f);
        Assert.Equal(2e38, Dense(large)[0], 1e33);
        Assert.Throws<NonFiniteException>(() => LowRankUpdate.Sum((1, large), (1, large)));
        // Their difference is 0, but not where float32 comes by the sum first.
        Assert.Throws<NonFiniteException>(() => LowRankUpdate.Sum((1, large), (1, large), (-1, large), (-1, large)));
        Assert.Equal(1.5, LowRankUpdate.Sum((1, large), (0.5, large)).SingularValues()[0] / large.SingularValues()[0], 1e-12);
        // ΔW is finite, but its one singular value, which B takes on, is not.
        Assert.Throws<NonFiniteException>(() => large.Compress(RankChoice.Fixed(1)));

        static LowRankUpdate Filled(float a, float b)
        {
            using LoraAdapter adapter = new(
                Tensor.From(Enumerable.Repeat(a, 4).ToArray(), [1, 4], Devices.Cpu), Tensor.From(Enumerable.Repeat(b, 3).ToArray(), [3, 1], Devices.Cpu), 1);
            return LowRankUpdate.Of(adapter);
        }
    }

    private static LowRankUpdate Random(int @in, int @out, int rank, ulong seed)
    {
        using LoraAdapter adapter = LoraAdapter.Create(@in, @out, rank, 1.5, Devices.Reference, new Generator(seed), randomB: true);
        return LowRankUpdate.Of(adapter);
    }

    private static double[] Dense(LowRankUpdate update)
    {
        double[] dense = new double[update.Out * update.In];
        for (int row = 0; row < update.Out; row++)
            for (int column = 0; column < update.In; column++)
                for (int i = 0; i < update.Rank; i++)
                    dense[row * update.In + column] += update.B[row * update.Rank + i] * update.A[i * update.In + column];
        return dense;
    }

    private static double Norm(double[] values) => Math.Sqrt(values.Sum(value => value * value));
}
