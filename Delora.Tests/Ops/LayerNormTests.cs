using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class LayerNormTests : NormalizationTests
{
    protected override Shape StatisticsShape(int rows) => [3, rows];

    protected override void Forward(Tensor x, Tensor weight, Tensor y, Tensor statistics, double epsilon) =>
        LayerNormKernel.Forward(x, weight, OpTesting.Floats(weight.Shape, x.Device, 5), y, statistics, epsilon);

    protected override void Backward(
        Tensor x, Tensor weight, Tensor statistics, Tensor dy, Tensor? dx, Tensor? dweight, bool accumulate, bool accumulateWeight) =>
        LayerNormKernel.Backward(x, weight, statistics, dy, dx, dweight, accumulate, accumulateWeight);

    private protected override void InPairs(
        GpuDevice simulator, Tensor x, Tensor weight, Tensor y, Tensor statistics, Tensor dy, Tensor dweight)
    {
        GpuLayerNorm.Forward<Float32PairSum>(
            simulator, x, weight, OpTesting.Floats(weight.Shape, simulator, 5), y, statistics, Epsilon);
        GpuNormalization.WeightGradient<Float32PairSum>(simulator, statistics, true, x, dy, dweight, false);
    }

    protected override Tensor Function(Tensor x, Tensor weight, double epsilon) => x.LayerNorm(weight, null, epsilon);

    [Fact]
    public void TheReferenceIsTheFormula()
    {
        using var scope = new TensorScope();
        Device device = Devices.Reference;
        Tensor x = Tensor.From([1.0, 2, 3, 7, 7, 7], [2, 3], device), weight = Tensor.From([1.0, 2, -1], [3], device);
        double deviation = Math.Sqrt(2.0 / 3 + 0.5);
        OpTesting.Close(
            [-1 / deviation + 4, 5, -1 / deviation + 6, 4, 5, 6],
            x.LayerNorm(weight, Tensor.From([4.0, 5, 6], [3], device), 0.5).ToArray<double>(), 1e-15);
        OpTesting.Close([-1 / deviation, 0, -1 / deviation, 0, 0, 0], x.LayerNorm(weight, null, 0.5).ToArray<double>(), 1e-15);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ALargeMeanCostsNoDigits(string name)
    {
        int columns = name == "simulator" ? 37 : 1025;
        // The first element of one row is an outlier.
        foreach ((double mean, double first) in ((double, double)[])[(1e4, 0), (-1e6, 0), (1e4, -1e4)])
            OpTesting.MatchesReference(TestDevices.Get(name), d =>
            {
                double[] values = [.. OpTesting.Numbers(2 * columns, 3, 2).Select(value => (double)(float)(mean + value))];
                values[0] += first;
                Tensor x = Tensor.From(values, [2, columns], d), weight = OpTesting.Floats([columns], d, 2);
                Tensor y = OpTesting.Output([2, columns], d), statistics = OpTesting.Output([3, 2], d);
                Tensor dx = OpTesting.Floats([2, columns], d, 9), dweight = OpTesting.Output([columns], d);
                LayerNormKernel.Forward(x, weight, null, y, statistics, Epsilon);
                LayerNormKernel.Backward(x, weight, statistics, dx, dx, dweight);
                return Functions.Concat(0, y, dx, dweight.Reshape([1, columns]));
            }, 1e-5);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void AConstantRowGivesTheBias(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        Tensor x = Tensor.From([1e4f, 1e4f, 1e4f, 0.1f, 0.1f, 0.1f], [2, 3], device);
        Tensor weight = Tensor.From([1f, 2, 3], [3], device), bias = Tensor.From([4f, 5, 6], [3], device);
        Assert.Equal([4f, 5, 6, 4, 5, 6], x.LayerNorm(weight, bias, Epsilon).ToArray<float>());
        Assert.All(x.LayerNorm(weight, bias, 0).ToArray<float>(), value => Assert.True(float.IsNaN(value)));
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void GradientsReachTheBias(string device) =>
        ElementwiseCheck.Gradients(device, p => p[0].Value.LayerNorm(p[1], p[2], Epsilon), [2, 3, 5], [5], [5]);

    [Fact]
    public void ABiasThatDoesNotFitIsRefused()
    {
        using var scope = new TensorScope();
        Tensor x = OpTesting.Floats([2, 3], Devices.Cpu, 1), weight = OpTesting.Floats([3], Devices.Cpu, 1);
        Assert.Equal("LayerNorm: the bias does not fit the last dimension: x [2, 3], bias [2, 3]",
            Assert.Throws<ShapeException>(() => x.LayerNorm(weight, x, Epsilon)).Message);
    }
}
