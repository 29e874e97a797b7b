using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class ScaleTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Forward(string device) => ElementwiseCheck.Unary(device, (x, y) => ScaleKernel.Forward(x, -0.3, y), 1e-6);

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device) => ElementwiseCheck.Gradients(device, x => x.Scale(-0.3), 3, 5);

    [Theory, InlineData(double.NaN), InlineData(double.PositiveInfinity), InlineData(1e39)]
    public void The_factor_must_be_a_finite_float32(double factor)
    {
        using Tensor x = Tensor.Zeros([2], DType.Float32, Devices.Cpu);
        Assert.Throws<NonFiniteException>(() => ScaleKernel.Forward(x, factor, x));
    }
}
