using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class EmbeddingTests
{
    // The largest needs several rounds of the GPU's sort beyond one block, on the simulator too.
    private static readonly (int Vocab, int Count, int Dim)[] s_sizes =
        [(1, 0, 5), (3, 1, 1), (7, 31, 32), (40, 33, 33), (5, 129, 7), (1000, 127, 129), (11, 3, 0), (2, 65, 1025)];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ForwardMatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int vocab, int count, int dim) in s_sizes)
        {
            if (name == "simulator" && (long)count * dim > 2000) continue;
            OpTesting.MatchesReference(device, d =>
            {
                Tensor y = OpTesting.Output([count, dim], d);
                EmbeddingKernel.Forward(Ids(d, count, vocab), OpTesting.Floats([vocab, dim], d, 1), y);
                return y;
            }, 0);
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void BackwardMatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int vocab, int count, int dim) in s_sizes)
            foreach (bool accumulate in (bool[])[false, true])
            {
                if (name == "simulator" && (long)count * dim > 2000) continue;
                OpTesting.MatchesReference(device, d =>
                {
                    Tensor dweight = accumulate ? OpTesting.Floats([vocab, dim], d, 2) : OpTesting.Output([vocab, dim], d);
                    EmbeddingKernel.Backward(Ids(d, count, vocab), OpTesting.Floats([count, dim], d, 3), dweight, accumulate);
                    return dweight;
                }, 2e-6);
            }
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() => OpTesting.IndependentOfThreads(d =>
    {
        Tensor dweight = OpTesting.Output([97, 19], d);
        EmbeddingKernel.Backward(Ids(d, 5001, 97), OpTesting.Floats([5001, 19], d, 3), dweight, accumulate: false);
        return dweight;
    });

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void IdsOutOfRangeAreErrors(string name)
    {
        foreach (Device device in (Device[])[TestDevices.Get(name), Devices.Reference])
            foreach (int bad in (int[])[4, -1, int.MaxValue, int.MinValue])
            {
                using var scope = new TensorScope("ids");
                Tensor weight = OpTesting.Floats([4, 3], device, 1), ids = Tensor.From([0, 3, bad, 1], [2, 2], device);
                string message = Assert.Throws<IndexException>(() => weight.Embedding(ids)).Message;
                Assert.Contains("element 2", message);
                Assert.Contains("below 4", message);
                Tensor dy = OpTesting.Floats([2, 2, 3], device, 1);
                Assert.Throws<IndexException>(() => EmbeddingKernel.Backward(ids, dy, weight, accumulate: true));
                Assert.Equal(OpTesting.Numbers(12, 1), weight.ToArray<double>());
            }
    }

    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        using Parameter weight = OpTesting.Parameter("weight", [4, 3], Devices.Reference, 6);
        using Tensor ids = Tensor.From([1, 3, 1, 1, 0, 3], [2, 3], Devices.Reference);
        GradientCheck.Numerical(() => weight.Value.Embedding(ids), [weight]);
    }

    [Fact]
    public void GradientsAddUpInThePlaceTheyHave()
    {
        Device device = Devices.Cpu;
        using Parameter weight = OpTesting.Parameter("weight", [3, 2], device, 6);
        using var arena = new ParameterArena([weight]);
        using Tensor ids = Tensor.From([2, 0, 2], [3], device);
        for (int pass = 0; pass < 2; pass++)
        {
            using var tape = new Tape();
            tape.Backward(weight.Value.Embedding(ids), Tensor.From([1.0, 2, 3, 4, 5, 6], [3, 2], device));
        }
        Assert.Equal([6, 8, 0, 0, 12, 16], weight.Gradient!.ToArray<double>());
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        Device device = TestDevices.Get(name);
        using Parameter weight = OpTesting.Parameter("weight", [4, 17], device, 7);
        using Tensor ids = Tensor.From([1, 3, 1, 1, 0, 3], [2, 3], device);
        GradientCheck.Directional(() => weight.Value.Embedding(ids), [weight]);
    }

    private static Tensor Ids(Device device, int count, int vocab) => Tensor.From(OpTesting.Ids(count, vocab, 4), [count], device);
}
