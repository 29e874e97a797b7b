using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class RmsNormTests : NormalizationTests
{
    protected override Shape StatisticsShape(int rows) => [rows];

    protected override void Forward(Tensor x, Tensor weight, Tensor y, Tensor statistics, double epsilon) =>
        RmsNormKernel.Forward(x, weight, y, statistics, epsilon);

    protected override void Backward(
        Tensor x, Tensor weight, Tensor statistics, Tensor dy, Tensor? dx, Tensor? dweight, bool accumulate, bool accumulateWeight) =>
        RmsNormKernel.Backward(x, weight, statistics, dy, dx, dweight, accumulate, accumulateWeight);

    private protected override void InPairs(
        GpuDevice simulator, Tensor x, Tensor weight, Tensor y, Tensor statistics, Tensor dy, Tensor dweight)
    {
        GpuRmsNorm.Forward<Float32PairSum>(simulator, x, weight, y, statistics, Epsilon);
        GpuNormalization.WeightGradient<Float32PairSum>(simulator, statistics, false, x, dy, dweight, false);
    }

    protected override Tensor Function(Tensor x, Tensor weight, double epsilon) => x.RmsNorm(weight, epsilon);

    [Fact]
    public void TheReferenceIsTheFormula()
    {
        using var scope = new TensorScope();
        double[] values = [1, -2, 3, 0.5], weights = [1, 2, -1, 0.25];
        Tensor y = Tensor.From(values, [2, 2], Devices.Reference).RmsNorm(Tensor.From(weights[..2], [2], Devices.Reference), 0.5);
        double first = Math.Sqrt(2.5 + 0.5), second = Math.Sqrt(4.625 + 0.5);
        OpTesting.Close([1 / first, -4 / first, 3 / second, 1 / second], y.ToArray<double>(), 1e-15);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ZerosAndValuesWhoseSquaresAreTooLargeOrTooSmall(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        Tensor x = Tensor.From([0f, 0, 3e30f, -4e30f, 3e-30f, 4e-30f], [3, 2], device), weight = Tensor.From([1f, 2], [2], device);
        double half = Math.Sqrt(0.5);
        OpTesting.Close([0, 0, 0.6 / half, -1.6 / half, 0, 0], x.RmsNorm(weight, 1e-6).ToArray<double>(), 1e-6);
        double[] exact = x.RmsNorm(weight, 0).ToArray<double>();
        Assert.True(double.IsNaN(exact[0]) && double.IsNaN(exact[1]));
        OpTesting.Close([0.6 / half, -1.6 / half, 0.6 / half, 1.6 / half], exact[2..], 1e-6);
    }
}
