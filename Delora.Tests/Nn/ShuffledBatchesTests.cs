using CsCheck;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class ShuffledBatchesTests
{
    [Fact]
    public void HashIsTheSameEverywhere()
    {
        // Computed with a separate FNV-1a and SplitMix64 finalizer; a change here silently changes every trained model.
        Assert.Equal(0xf52a15e9a9b5e89bUL, StableHash.Of(""));
        Assert.Equal(0x4324dcfb384c2dd7UL, StableHash.Of("System.Xml"));
        Assert.Equal(0x82606f5c4c644dc9UL, StableHash.Of("ä€", 3));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 3)]
    [InlineData(10, 5)]
    [InlineData(3, 8)]
    public void EveryEpochSeesEveryRowOnceInAnOrderOfItsOwn(int rows, int batch)
    {
        ShuffledBatches one = new(rows, batch, seed: 1), again = new(rows, batch, seed: 1), other = new(rows, batch, seed: 2);
        List<int> seen = [], seenAgain = [], seenOther = [];
        for (int i = 0; i < 40 * rows; i++)
        {
            seen.AddRange(one.Next());
            seenAgain.AddRange(again.Next());
            seenOther.AddRange(other.Next());
        }

        Assert.Equal(seen, seenAgain);
        int[][] epochs = [.. seen.Chunk(rows).Where(x => x.Length == rows)];
        Assert.All(epochs, x => Assert.Equal(Enumerable.Range(0, rows), x.Order()));
        if (rows > 2)
        {
            Assert.NotEqual(seen, seenOther);
            Assert.Contains(epochs, x => !x.SequenceEqual(epochs[0]));
        }
    }

    [Fact]
    public void TheOrderIsTheSameForever()
    {
        // A change here silently changes every trained model.
        var batches = new ShuffledBatches(5, 3, seed: 7);
        List<int> seen = [];
        for (int i = 0; i < 5; i++) seen.AddRange(batches.Next());
        Assert.Equal([0, 4, 1, 2, 3, 0, 4, 1, 2, 3, 0, 2, 1, 3, 4], seen);
    }

    [Fact]
    public void SkippingIsTheSameAsGoingThere() =>
        Gen.Select(Gen.Int[1, 9], Gen.Int[1, 12], Gen.ULong, Gen.Int[0, 40], Gen.Int[0, 40]).Sample((rows, batch, seed, first, second) =>
        {
            var skipping = new ShuffledBatches(rows, batch, seed);
            // The second may lie ahead or behind.
            foreach (int target in (int[])[first, second])
            {
                var walking = new ShuffledBatches(rows, batch, seed);
                for (int i = 0; i < target; i++) walking.Next();
                skipping.SkipTo(target);
                Assert.Equal(target, skipping.Position);
                for (int i = 0; i < 5; i++) Assert.Equal(walking.Next().ToArray(), skipping.Next().ToArray());
            }
        });

    [Fact]
    public void ImpossibleSizesAreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new ShuffledBatches(0, 1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ShuffledBatches(1, 0, 0));
        var batches = new ShuffledBatches(2, 2, 0);
        Assert.Throws<ArgumentOutOfRangeException>(() => batches.SkipTo(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => batches.SkipTo(long.MaxValue));
    }
}
