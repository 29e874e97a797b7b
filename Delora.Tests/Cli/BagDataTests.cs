using CsCheck;
using Delora.Cli;

namespace Delora.Tests;

public sealed class BagDataTests
{
    private static int[] Buckets(string text, int buckets = 1 << 20)
    {
        List<int> result = [];
        new TextFeatures(buckets).Append(text, result);
        return [.. result];
    }

    [Fact]
    public void FeaturesAreWordsPairsAndLetters()
    {
        // <open>: the word, 4 of 3 letters, 3 of 4. A second word adds a pair.
        Assert.Equal(1 + 4 + 3, Buckets("open").Length);
        Assert.Equal(Buckets("open"), Buckets("  OPEN! "));
        Assert.Equal(Buckets("open").Length + Buckets("file").Length + 1, Buckets("open file").Length);
        Assert.NotEqual(Buckets("open file").Order(), Buckets("file open").Order());
        Assert.Empty(Buckets(" .,-\u2014 "));
        Assert.Single(Buckets("a")); // <a> is the word itself
    }

    [Fact]
    public void EveryTextGivesBoundedBuckets() =>
        Gen.Select(Gen.String, Gen.Int[1, 1000]).Sample((text, buckets) =>
        {
            int[] result = Buckets(text, buckets);
            Assert.True(result.Length <= TextFeatures.MaxPerText);
            Assert.All(result, x => Assert.InRange(x, 0, buckets - 1));
        });

    [Fact]
    public void LongTextIsCut()
    {
        Assert.Equal(TextFeatures.MaxPerText, Buckets(string.Join(' ', Enumerable.Range(0, 100_000))).Length);
        Assert.InRange(Buckets(new string('a', 1 << 20)).Length, 100, TextFeatures.MaxPerText);
        Assert.Equal(Buckets("x y"), Buckets("x\ud800y")); // a lone surrogate is no letter
    }

    [Fact]
    public void TakeGathersRows()
    {
        BagData all = BagData.Of([new("open", 3), new("", 1), new("open file", 2)], new TextFeatures(1 << 20));
        Assert.Equal([0, 8, 8, 8 + 17], all.Offsets);
        Assert.Equal([3, 1, 2], all.Labels);
        BagData taken = all.Take([2, 1, 2, 0]);
        Assert.Equal([0, 17, 17, 34, 42], taken.Offsets);
        Assert.Equal([2, 1, 2, 3], taken.Labels);
        Assert.Equal([.. Buckets("open file"), .. Buckets("open file"), .. Buckets("open")], taken.Ids);
        Assert.Equal(all.Take([1, 2]).Ids, all.Slice(1, 2).Ids);
        Assert.Equal([0], all.Take([]).Offsets);
        Assert.Throws<ArgumentOutOfRangeException>(() => all.Take([3]));
        Assert.Throws<ArgumentOutOfRangeException>(() => all.Take([-1]));
    }
}
