using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class GatherColumnsTests
{
    private static readonly (int Rows, int Columns, int Count)[] s_sizes =
        [(1, 1, 5), (3, 1, 1), (7, 31, 32), (33, 40, 33), (8, 5, 129), (16, 1000, 127), (3, 11, 0), (0, 11, 3), (2, 1025, 65)];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ForwardMatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int rows, int columns, int count) in s_sizes)
            OpTesting.MatchesReference(device, d =>
            {
                Tensor y = OpTesting.Output([count, rows], d);
                GatherColumnsKernel.Forward(OpTesting.Floats([rows, columns], d, 1), Ids(d, count, columns), y);
                return y;
            }, 0);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void BackwardMatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int rows, int columns, int count) in s_sizes)
            foreach (bool accumulate in (bool[])[false, true])
            {
                if (name == "simulator" && (long)count * rows > 1200) continue;
                OpTesting.MatchesReference(device, d =>
                {
                    Tensor da = accumulate ? OpTesting.Floats([rows, columns], d, 2) : OpTesting.Output([rows, columns], d);
                    GatherColumnsKernel.Backward(Ids(d, count, columns), OpTesting.Floats([count, rows], d, 3), da, accumulate);
                    return da;
                }, 2e-6);
            }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ItIsTheProductWithOneHotRows(string name)
    {
        Device device = TestDevices.Get(name);
        using var scope = new TensorScope("test");
        Tensor a = OpTesting.Floats([3, 7], device, 1), ids = Ids(device, 12, 7).Reshape([3, 4]);
        var hot = new double[12 * 7];
        foreach ((int id, int i) in ids.ToArray<int>().Select((id, i) => (id, i))) hot[i * 7 + id] = 1;
        Tensor y = a.GatherColumns(ids), product = Tensor.From(hot, [12, 7], device, "one-hot").MatMul(a, MatMulLayout.NT);
        Assert.Equal([3, 4, 3], y.Shape);
        Assert.Equal(product.ToArray<double>(), y.ToArray<double>());
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() => OpTesting.IndependentOfThreads(d =>
    {
        Tensor da = OpTesting.Output([19, 97], d);
        GatherColumnsKernel.Backward(Ids(d, 5001, 97), OpTesting.Floats([5001, 19], d, 3), da, accumulate: false);
        return da;
    });

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void WhatDoesNotFitIsRefused(string name)
    {
        foreach (Device device in (Device[])[TestDevices.Get(name), Devices.Reference])
        {
            using var scope = new TensorScope("test");
            Tensor a = OpTesting.Floats([3, 4], device, 1);
            foreach (int bad in (int[])[4, -1, int.MaxValue, int.MinValue])
            {
                Tensor ids = Tensor.From([0, 3, bad, 1], [2, 2], device);
                string message = Assert.Throws<IndexException>(() => a.GatherColumns(ids)).Message;
                Assert.Contains("element 2", message);
                Assert.Contains("below 4", message);
                Assert.Throws<IndexException>(() => GatherColumnsKernel.Backward(ids, OpTesting.Floats([2, 2, 3], device, 1), a, accumulate: true));
                Assert.Equal(OpTesting.Numbers(12, 1), a.ToArray<double>());
            }
            Tensor good = Ids(device, 2, 4);
            Assert.Throws<ShapeException>(() => GatherColumnsKernel.Forward(a, good, OpTesting.Floats([2, 4], device, 1)));
            Assert.Throws<ShapeException>(() => OpTesting.Floats([3], device, 1).GatherColumns(good));
        }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string name)
    {
        Device device = name == "reference" ? Devices.Reference : TestDevices.Get(name);
        using Tensor ids = Tensor.From([1, 3, 1, 1, 0, 3], [2, 3], device);
        ElementwiseCheck.Gradients(name, a => a.GatherColumns(ids).Tanh(), 5, 4);
        // Twice, so that the second adds to what the first gave.
        ElementwiseCheck.Gradients(name, a => a.GatherColumns(ids).Multiply(a.GatherColumns(ids)), 5, 4);
    }

    private static Tensor Ids(Device device, int count, int bound) => Tensor.From(OpTesting.Ids(count, bound, 4), [count], device);
}
