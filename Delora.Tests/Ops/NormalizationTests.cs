using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

/// <summary>What norms over the last dimension with a weight are tested for.</summary>
public abstract class NormalizationTests
{
    private protected const double Epsilon = 1e-5;

    /// <summary>Shape of what the forward pass keeps of a matrix with so many rows.</summary>
    protected abstract Shape StatisticsShape(int rows);

    /// <summary>The kernel; a bias only where the norm takes one.</summary>
    protected abstract void Forward(Tensor x, Tensor weight, Tensor y, Tensor statistics, double epsilon);

    protected abstract void Backward(
        Tensor x, Tensor weight, Tensor statistics, Tensor dy, Tensor? dx, Tensor? dweight, bool accumulate, bool accumulateWeight);

    /// <summary>On the simulator with pairs of float32 instead of float64: y, and the gradient of the weight for dy.</summary>
    private protected abstract void InPairs(
        GpuDevice simulator, Tensor x, Tensor weight, Tensor y, Tensor statistics, Tensor dy, Tensor dweight);

    protected abstract Tensor Function(Tensor x, Tensor weight, double epsilon);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ForwardAndBackwardMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int rows in (int[])[0, 1, 3, 33])
            foreach (int columns in (int[])[0, 1, 2, 31, 32, 33, 127, 129, 1025, 4097])
                foreach (bool accumulate in (bool[])[false, true])
                {
                    if (name == "simulator" && rows * columns > 130) continue;
                    OpTesting.MatchesReference(device, d => Everything(d, rows, columns, accumulate, inPlace: false), 1e-5);
                    if (!accumulate) OpTesting.MatchesReference(device, d => Everything(d, rows, columns, false, inPlace: true), 1e-5);
                }
    }

    [Theory, MemberData(nameof(TestDevices.CpuNames), MemberType = typeof(TestDevices))]
    public void ManyRowsKeepTheDigitsOfTheWeightsGradient(string name) =>
        OpTesting.MatchesReference(TestDevices.Get(name), d => WeightGradient(d, 5003, 131), 1e-5);

    [Fact]
    public void TheBitsDoNotDependOnThreads()
    {
        OpTesting.IndependentOfThreads(d => Everything(d, 701, 77, accumulate: false, inPlace: true));
        OpTesting.IndependentOfThreads(d => WeightGradient(d, 5003, 131));
    }

    [Fact]
    public void ThePairsOfFloat32AreAsGood() =>
        OpTesting.MatchesReference(TestDevices.Get("simulator"), d =>
        {
            Tensor x = OpTesting.Floats([3, 37], d, 1), weight = OpTesting.Floats([37], d, 2), dy = OpTesting.Floats([3, 37], d, 3);
            Tensor y = OpTesting.Output([3, 37], d), dweight = OpTesting.Output([37], d);
            Tensor statistics = OpTesting.Output(StatisticsShape(3), d);
            if (d is GpuDevice simulator)
            {
                InPairs(simulator, x, weight, y, statistics, dy, dweight);
            }
            else
            {
                Forward(x, weight, y, statistics, Epsilon);
                Backward(x, weight, statistics, dy, null, dweight, false, false);
            }
            return Functions.Concat(0, y, dweight.Reshape([1, 37]));
        }, 2e-6);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void OnlyWhatIsWantedIsComputed(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        Tensor x = OpTesting.Floats([5, 19], device, 1), weight = OpTesting.Floats([19], device, 2);
        Tensor dy = OpTesting.Floats([5, 19], device, 3), y = OpTesting.Output([5, 19], device);
        Tensor statistics = OpTesting.Output(StatisticsShape(5), device);
        Tensor dx = OpTesting.Output([5, 19], device), dxAlone = OpTesting.Output([5, 19], device);
        Tensor dweight = OpTesting.Output([19], device), dweightAlone = OpTesting.Output([19], device);
        Forward(x, weight, y, statistics, Epsilon);
        Backward(x, weight, statistics, dy, dx, dweight, false, false);
        Backward(x, weight, statistics, dy, dxAlone, null, false, false);
        Backward(x, weight, statistics, dy, null, dweightAlone, false, false);
        Assert.Equal(dx.ToArray<float>(), dxAlone.ToArray<float>());
        Assert.Equal(dweight.ToArray<float>(), dweightAlone.ToArray<float>());
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void NotFiniteRowsAreNaNAndDisturbNoOther(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        Tensor x = Tensor.From([float.NaN, 1, 2, 1, float.PositiveInfinity, 2, 1, 2, 4], [3, 3], device);
        float[] y = Function(x, Tensor.From([1f, 1, 1], [3], device), Epsilon).ToArray<float>();
        Assert.All(y[..3], value => Assert.True(float.IsNaN(value)));
        Assert.True(float.IsNaN(y[4]));
        Assert.All(y[6..], value => Assert.True(float.IsFinite(value)));
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device)
    {
        Device on = TestDevices.Get(device);
        using Tensor constant = OpTesting.Floats([5], on, 4), given = OpTesting.Floats([2, 3, 5], on, 5);
        ElementwiseCheck.Gradients(device, p => Function(p[0], p[1], Epsilon), [2, 3, 5], [5]);
        ElementwiseCheck.Gradients(device, x => Function(x, constant, Epsilon), 2, 3, 5);
        ElementwiseCheck.Gradients(device, weight => Function(given, weight, Epsilon), 5);
        // A residual connection, whose gradient is there before that of the norm, and one that comes after it.
        ElementwiseCheck.Gradients(device, p => p[0].Value.Scale(2) is var x ? x.Add(Function(x, p[1], Epsilon)) : x, [3, 5], [5]);
        ElementwiseCheck.Gradients(device, p => Function(p[0].Value.Add(Function(p[0], p[1], Epsilon)), p[1], Epsilon), [3, 5], [5]);
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        using var scope = new TensorScope();
        Device device = Devices.Reference;
        Tensor x = OpTesting.Floats([2, 3], device, 1), weight = OpTesting.Floats([3], device, 1), other = OpTesting.Floats([2], device, 1);
        string message = Assert.Throws<ShapeException>(() => Function(x, other, Epsilon)).Message;
        Assert.EndsWith("the weight does not fit the last dimension: x [2, 3], weight [2]", message, StringComparison.Ordinal);
        foreach (double bad in (double[])[-1e-9, double.NaN, double.PositiveInfinity])
            Assert.Throws<ArgumentOutOfRangeException>(() => Function(x, weight, bad));
        Assert.Throws<ShapeException>(() => Forward(x, weight, x, OpTesting.Output(StatisticsShape(3), device), Epsilon));
        Assert.Throws<ShapeException>(
            () => Backward(x, weight, OpTesting.Output(StatisticsShape(2), device), x, null, other, false, false));
        Assert.Throws<DTypeException>(() => Function(x, Tensor.Zeros([3], DType.Float32, device), Epsilon));
    }

    /// <summary>y, dx and dw, one after another.</summary>
    private Tensor Everything(Device d, int rows, int columns, bool accumulate, bool inPlace)
    {
        Tensor x = OpTesting.Floats([rows, columns], d, columns, 3), weight = OpTesting.Floats([columns], d, 2);
        Tensor dy = OpTesting.Floats([rows, columns], d, 9), statistics = OpTesting.Output(StatisticsShape(rows), d);
        Tensor y = OpTesting.Output([rows, columns], d);
        Forward(x, weight, y, statistics, Epsilon);
        Tensor dx = inPlace ? dy : accumulate ? OpTesting.Floats([rows, columns], d, 11) : OpTesting.Output([rows, columns], d);
        Tensor dweight = accumulate ? OpTesting.Floats([columns], d, 12) : OpTesting.Output([columns], d);
        Backward(x, weight, statistics, dy, dx, dweight, accumulate, accumulate);
        if (inPlace)
        {
            Forward(x, weight, x, statistics, Epsilon);
            y = x;
        }
        return Functions.Concat(0, y, dx, dweight.Reshape([1, columns]));
    }

    private Tensor WeightGradient(Device d, int rows, int columns)
    {
        Tensor x = OpTesting.Floats([rows, columns], d, 1), weight = OpTesting.Floats([columns], d, 2);
        Tensor statistics = OpTesting.Output(StatisticsShape(rows), d), dweight = OpTesting.Output([columns], d);
        Forward(x, weight, OpTesting.Output([rows, columns], d), statistics, Epsilon);
        Backward(x, weight, statistics, OpTesting.Floats([rows, columns], d, 3), null, dweight, false, false);
        return dweight;
    }
}
