using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class EmbeddingBagTests
{
    /// <summary>Lengths of the bags, with empty ones at the start, in the middle and at the end.</summary>
    private static readonly int[][] s_bags = [[], [0], [1], [0, 31, 0, 0, 33, 1], [2, 0], [70, 3, 59]];

    private static readonly (int Vocab, int Dim)[] s_tables = [(1, 1), (50, 31), (7, 33), (300, 64), (9, 129), (4, 0), (3, 1025)];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ForwardMatchesTheReference(string name) => ForEachCase(name, (bags, vocab, dim, mode) =>
        OpTesting.MatchesReference(TestDevices.Get(name), d =>
        {
            Tensor y = OpTesting.Output([bags.Length, dim], d);
            EmbeddingBagKernel.Forward(Ids(d, bags, vocab), Offsets(d, bags), OpTesting.Floats([vocab, dim], d, 1), y, mode);
            return y;
        }, 1e-5));

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void BackwardMatchesTheReference(string name) => ForEachCase(name, (bags, vocab, dim, mode) =>
    {
        foreach (bool accumulate in (bool[])[false, true])
            OpTesting.MatchesReference(TestDevices.Get(name), d =>
            {
                Tensor dweight = accumulate ? OpTesting.Floats([vocab, dim], d, 2) : OpTesting.Output([vocab, dim], d);
                Tensor dy = OpTesting.Floats([bags.Length, dim], d, 3);
                EmbeddingBagKernel.Backward(Ids(d, bags, vocab), Offsets(d, bags), dy, dweight, mode, accumulate);
                return dweight;
                // Up to 134 float32 additions to one element, which may cancel.
            }, 3e-5);
    });

    [Fact]
    public void AnEmptyBagIsZeroAndTheFormulaHolds()
    {
        Device device = Devices.Reference;
        using var scope = new TensorScope("bags");
        Tensor weight = Tensor.From([1.0, 2, 10, 20, 100, 200], [3, 2], device);
        Tensor ids = Tensor.From([0, 2, 2, 1], [4], device), offsets = Tensor.From([0, 3, 3, 4], [4], device);
        Assert.Equal([201, 402, 0, 0, 10, 20], weight.EmbeddingBag(ids, offsets, EmbeddingBagMode.Sum).ToArray<double>());
        OpTesting.Close([67, 134, 0, 0, 10, 20], weight.EmbeddingBag(ids, offsets).ToArray<double>(), 1e-15);
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads()
    {
        int[] bags = [.. Enumerable.Range(0, 300).Select(i => i % 37)];
        OpTesting.IndependentOfThreads(d => OpTesting.Floats([500, 70], d, 1).EmbeddingBag(Ids(d, bags, 500), Offsets(d, bags)));
        OpTesting.IndependentOfThreads(d =>
        {
            Tensor dweight = OpTesting.Output([500, 19], d), dy = OpTesting.Floats([bags.Length, 19], d, 3);
            EmbeddingBagKernel.Backward(Ids(d, bags, 500), Offsets(d, bags), dy, dweight, EmbeddingBagMode.Mean, accumulate: false);
            return dweight;
        });
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void BadIdsAndOffsetsAreErrors(string name)
    {
        foreach (Device device in (Device[])[TestDevices.Get(name), Devices.Reference])
        {
            using var scope = new TensorScope("bags");
            Tensor weight = OpTesting.Floats([4, 3], device, 1);
            Tensor ids = Tensor.From([0, 3, 1], [3], device), bad = Tensor.From([0, 4, 1], [3], device);
            Tensor good = Tensor.From([0, 1, 3], [3], device);
            Assert.Throws<IndexException>(() => weight.EmbeddingBag(bad, good));
            foreach (int[] offsets in (int[][])[[1, 3], [0, 2], [0, 4], [0, 3, 2, 3], [-1, 3], [0, int.MinValue, 3]])
                Assert.Throws<IndexException>(() => weight.EmbeddingBag(ids, Tensor.From(offsets, [offsets.Length], device)));
            Assert.Throws<ShapeException>(() => weight.EmbeddingBag(ids, Tensor.From(Array.Empty<int>(), [0], device)));
            Assert.Throws<DTypeException>(() => weight.EmbeddingBag(ids, Tensor.From([0L, 3L], [2], device)));
        }
    }

    [Theory]
    [InlineData(EmbeddingBagMode.Sum)]
    [InlineData(EmbeddingBagMode.Mean)]
    public void GradientsMatchNumericalDifferentiation(EmbeddingBagMode mode)
    {
        using Parameter weight = OpTesting.Parameter("weight", [5, 3], Devices.Reference, 6);
        using Tensor ids = Ids(Devices.Reference, [3, 0, 5], 5), offsets = Offsets(Devices.Reference, [3, 0, 5]);
        GradientCheck.Numerical(() => weight.Value.EmbeddingBag(ids, offsets, mode), [weight]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        Device device = TestDevices.Get(name);
        using Parameter weight = OpTesting.Parameter("weight", [5, 17], device, 7);
        using Tensor ids = Ids(device, [3, 0, 5], 5), offsets = Offsets(device, [3, 0, 5]);
        foreach (EmbeddingBagMode mode in Enum.GetValues<EmbeddingBagMode>())
            GradientCheck.Directional(() => weight.Value.EmbeddingBag(ids, offsets, mode), [weight]);
    }

    private static void ForEachCase(string name, Action<int[], int, int, EmbeddingBagMode> check)
    {
        foreach (int[] bags in s_bags)
            foreach ((int vocab, int dim) in s_tables)
                foreach (EmbeddingBagMode mode in Enum.GetValues<EmbeddingBagMode>())
                    if (name != "simulator" || (long)bags.Sum() * dim <= 5000) check(bags, vocab, dim, mode);
    }

    private static Tensor Ids(Device device, int[] bags, int vocab) =>
        Tensor.From(OpTesting.Ids(bags.Sum(), vocab, 4), [bags.Sum()], device);

    private static Tensor Offsets(Device device, int[] bags)
    {
        var offsets = new int[bags.Length + 1];
        for (int b = 0; b < bags.Length; b++) offsets[b + 1] = offsets[b] + bags[b];
        return Tensor.From(offsets, [offsets.Length], device);
    }
}
