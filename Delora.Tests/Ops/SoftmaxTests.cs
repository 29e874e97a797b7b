using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class SoftmaxTests
{
    private static readonly int[] s_columns = [0, 1, 31, 32, 33, 127, 129, 1025];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ForwardAndBackwardMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int rows in (int[])[0, 1, 5])
            foreach (int columns in s_columns)
            {
                if (name == "simulator" && columns > 40) continue;
                OpTesting.MatchesReference(device, d => Forward(d, OpTesting.Floats([rows, columns], d, columns, 20)), 2e-6);
                OpTesting.MatchesReference(device, d =>
                {
                    Tensor y = Forward(d, OpTesting.Floats([rows, columns], d, columns, 3)), dx = OpTesting.Output([rows, columns], d);
                    SoftmaxKernel.Backward(y, OpTesting.Floats([rows, columns], d, 9), dx);
                    return dx;
                }, 2e-6);
            }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void InPlaceGivesTheSame(string name)
    {
        Device device = TestDevices.Get(name);
        OpTesting.MatchesReference(device, d =>
        {
            Tensor x = OpTesting.Floats([3, 19], d, 1), dy = OpTesting.Floats([3, 19], d, 2);
            SoftmaxKernel.Forward(x, x);
            SoftmaxKernel.Backward(x, dy, dy);
            return dy;
        });
    }

    [Fact]
    public void TheReferenceIsTheFormula()
    {
        using Tensor x = Tensor.From([1.0, 2, 3, double.NegativeInfinity], [4], Devices.Reference);
        using Tensor y = OpTesting.Output([4], Devices.Reference);
        SoftmaxKernel.Forward(x, y);
        double sum = Math.E + Math.Exp(2) + Math.Exp(3);
        OpTesting.Close([Math.E / sum, Math.Exp(2) / sum, Math.Exp(3) / sum, 0], y.ToArray<double>(), 1e-15);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MaskedLargeAndNotFiniteRows(string name)
    {
        foreach (Device device in (Device[])[TestDevices.Get(name), Devices.Reference])
        {
            const double Inf = double.PositiveInfinity;
            using Tensor x = Tensor.From([-Inf, -Inf, -Inf, 3e38, -Inf, -3e38, 0, double.NaN, 1], [3, 3], device);
            using Tensor y = OpTesting.Output([3, 3], device), dx = OpTesting.Output([3, 3], device);
            using Tensor dy = OpTesting.Floats([3, 3], device, 4);
            SoftmaxKernel.Forward(x, y);
            double[] values = y.ToArray<double>();
            Assert.Equal([0, 0, 0, 1, 0, 0], values[..6]);
            Assert.All(values[6..], value => Assert.True(double.IsNaN(value)));
            SoftmaxKernel.Backward(y, dy, dx);
            Assert.Equal([0, 0, 0, 0, 0, 0], dx.ToArray<double>()[..6]);
        }
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() => OpTesting.IndependentOfThreads(d => OpTesting.Floats([701, 77], d, 5).Softmax());

    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        using Parameter x = OpTesting.Parameter("x", [3, 5], Devices.Reference, 6);
        GradientCheck.Numerical(() => x.Value.Softmax(), [x]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        using Parameter x = OpTesting.Parameter("x", [3, 17], TestDevices.Get(name), 7);
        GradientCheck.Directional(() => x.Value.Softmax(), [x]);
    }

    private static Tensor Forward(Device device, Tensor x)
    {
        Tensor y = OpTesting.Output(x.Shape, device);
        SoftmaxKernel.Forward(x, y);
        return y;
    }
}
