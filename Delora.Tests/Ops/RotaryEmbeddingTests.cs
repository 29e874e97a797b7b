using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class RotaryEmbeddingTests
{
    private const int MaxPositions = 40;

    private static readonly (int, int, int)[] s_sizes = [(0, 3, 2), (2, 0, 2), (2, 3, 0), (1, 1, 1), (3, 5, 2), (2, 31, 33)];

    private static readonly int[] s_dims = [0, 2, 4, 6, 8, 10, 14, 16, 24, 26, 30, 32, 62, 64, 66, 128, 258];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ForwardAndBackwardMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int batch, int length, int heads) in s_sizes)
            foreach (int dim in s_dims)
                foreach (bool given in (bool[])[false, true])
                {
                    if (name == "simulator" && (long)batch * length * heads * dim > 300) continue;
                    OpTesting.MatchesReference(
                        device, d => Rotate(d, batch, length, heads, dim, given, backward: false, inPlace: false), 1e-6);
                    OpTesting.MatchesReference(
                        device, d => Rotate(d, batch, length, heads, dim, given, backward: true, inPlace: true), 1e-6);
                }
    }

    [Fact]
    public void TheReferenceIsRotateHalf()
    {
        using var scope = new TensorScope();
        Device device = Devices.Reference;
        (Tensor cos, Tensor sin) = Tables(device, 4);
        Tensor x = OpTesting.Floats([1, 2, 1, 4], device, 1), y = x.RotaryEmbedding(cos, sin, start: 3);
        double[] v = x.ToArray<double>(), c = cos.ToArray<double>(), s = sin.ToArray<double>();
        // x∘[cos, cos] + rotate_half(x)∘[sin, sin] with rotate_half([a, b]) = [−b, a].
        double[] expected = new double[8];
        for (int t = 0; t < 2; t++)
            for (int i = 0; i < 4; i++)
            {
                double turned = i < 2 ? -v[4 * t + i + 2] : v[4 * t + i - 2];
                expected[4 * t + i] = v[4 * t + i] * c[(3 + t) * 2 + i % 2] + turned * s[(3 + t) * 2 + i % 2];
            }
        OpTesting.Close(expected, y.ToArray<double>(), 1e-15);
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void GivenPositionsAreTheCountedOnesAndBackwardUndoesForward(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        (Tensor cos, Tensor sin) = Tables(device, 8);
        Tensor x = OpTesting.Floats([2, 3, 2, 8], device, 1), positions = Tensor.From([4, 5, 6, 4, 5, 6], [2, 3], device);
        Tensor y = x.RotaryEmbedding(cos, sin, start: 4);
        Assert.Equal(y.ToArray<double>(), x.RotaryEmbedding(cos, sin, positions).ToArray<double>());
        RotaryEmbeddingKernel.Backward(y, cos, sin, positions, 0, y);
        OpTesting.Close(x.ToArray<double>(), y.ToArray<double>(), 1e-6);
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        (Tensor cos, Tensor sin) = Tables(device, 6);
        Tensor positions = Tensor.From([39, 0, 7, 7], [2, 2], device);
        ElementwiseCheck.Gradients(name, x => x.RotaryEmbedding(cos, sin, start: 2), 2, 2, 3, 6);
        ElementwiseCheck.Gradients(name, x => x.RotaryEmbedding(cos, sin, positions), 2, 2, 3, 6);
        ElementwiseCheck.Gradients(name, x => x.Scale(2) is var twice ? twice.Add(twice.RotaryEmbedding(cos, sin)) : x, 1, 2, 3, 6);
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() =>
        OpTesting.IndependentOfThreads(d => Rotate(d, 3, 37, 33, 24, given: true, backward: false, inPlace: false));

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void PositionsOutsideTheTablesAreErrors(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        (Tensor cos, Tensor sin) = Tables(device, 4);
        Tensor x = OpTesting.Floats([1, 2, 1, 4], device, 1);
        foreach (int bad in (int[])[-1, MaxPositions, int.MinValue, int.MaxValue])
        {
            Tensor positions = Tensor.From([0, bad], [1, 2], device);
            string message = Assert.Throws<IndexException>(() => x.RotaryEmbedding(cos, sin, positions)).Message;
            Assert.Contains("element 1 of positions [1, 2]", message);
            Assert.Throws<IndexException>(() => RotaryEmbeddingKernel.Backward(x, cos, sin, positions, 0, x));
        }
        x.RotaryEmbedding(cos, sin, start: MaxPositions - 2);
        Assert.Equal(
            "RotaryEmbedding: 2 positions from 39 on do not lie within the 40 of cos [40, 2]: x [1, 2, 1, 4]",
            Assert.Throws<ShapeException>(() => x.RotaryEmbedding(cos, sin, start: MaxPositions - 1)).Message);
        Assert.Throws<ShapeException>(() => x.RotaryEmbedding(cos, sin, start: int.MaxValue));
        Assert.Throws<ArgumentOutOfRangeException>(() => x.RotaryEmbedding(cos, sin, start: -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => x.RotaryEmbedding(cos, sin, Tensor.From([0, 1], [1, 2], device), start: 1));
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        using var scope = new TensorScope();
        Device device = Devices.Reference;
        (Tensor cos, Tensor sin) = Tables(device, 4);
        Tensor x = OpTesting.Floats([1, 2, 1, 4], device, 1), odd = OpTesting.Floats([1, 2, 1, 5], device, 1);
        Assert.Equal("RotaryEmbedding: the last dimension must be even to be halved: [1, 2, 1, 5]",
            Assert.Throws<ShapeException>(() => odd.RotaryEmbedding(cos, sin)).Message);
        Assert.Throws<ShapeException>(() => OpTesting.Floats([2, 1, 4], device, 1).RotaryEmbedding(cos, sin));
        Assert.Throws<ShapeException>(() => OpTesting.Floats([1, 2, 1, 8], device, 1).RotaryEmbedding(cos, sin));
        Assert.Throws<ShapeException>(() => x.RotaryEmbedding(cos, OpTesting.Floats([MaxPositions - 1, 2], device, 1)));
        Assert.Throws<ShapeException>(() => x.RotaryEmbedding(cos, sin, Tensor.From([0, 1], [2, 1], device)));
        Assert.Throws<DTypeException>(() => x.RotaryEmbedding(cos, sin, OpTesting.Floats([1, 2], device, 1)));
        Assert.Throws<DeviceException>(() => x.RotaryEmbedding(cos, sin, Tensor.From([0, 1], [1, 2], Devices.Cpu)));
        using Parameter learned = new("learned", OpTesting.Floats([MaxPositions, 2], device, 1));
        Assert.Throws<GradientException>(() => x.RotaryEmbedding(learned, sin));
        Assert.Throws<GradientException>(() => x.RotaryEmbedding(cos, learned));
    }

    private static Tensor Rotate(Device d, int batch, int length, int heads, int dim, bool given, bool backward, bool inPlace)
    {
        (Tensor cos, Tensor sin) = Tables(d, dim);
        Tensor x = OpTesting.Floats([batch, length, heads, dim], d, dim), y = inPlace ? x : OpTesting.Output(x.Shape, d);
        Tensor? positions = given ? Tensor.From(OpTesting.Ids(batch * length, MaxPositions, 3), [batch, length], d) : null;
        int start = given ? 0 : 3;
        if (backward) RotaryEmbeddingKernel.Backward(x, cos, sin, positions, start, y);
        else RotaryEmbeddingKernel.Forward(x, cos, sin, positions, start, y);
        return y;
    }

    /// <summary>Cosines and sines of position · 100^(−2i/dim).</summary>
    private static (Tensor Cos, Tensor Sin) Tables(Device d, int dim)
    {
        int half = dim / 2;
        double[] angles = [.. Enumerable.Range(0, MaxPositions * half).Select(k => k / half * Math.Pow(100, -2.0 * (k % half) / dim))];
        return (
            Tensor.From(angles.Select(angle => (double)(float)Math.Cos(angle)).ToArray(), [MaxPositions, half], d),
            Tensor.From(angles.Select(angle => (double)(float)Math.Sin(angle)).ToArray(), [MaxPositions, half], d));
    }
}
