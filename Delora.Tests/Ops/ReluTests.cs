using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class ReluTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Forward(string device) => ElementwiseCheck.Unary(device, ReluKernel.Forward, 0);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Backward(string device) => ElementwiseCheck.Binary(device, ReluKernel.Backward, 0);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Special_values(string device) =>
        Assert.Equal([0f, 0f, float.PositiveInfinity, 0f, float.Epsilon], ElementwiseCheck.On(
            device, ReluKernel.Forward, 0f, -1f, float.PositiveInfinity, float.NegativeInfinity, float.Epsilon));

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device) => ElementwiseCheck.Gradients(device, x => x.Relu(), 3, 5);

    [Fact]
    public void Shapes_must_agree()
    {
        using Tensor x = Tensor.Zeros([2, 3], DType.Float32, Devices.Cpu), y = Tensor.Zeros([3, 2], DType.Float32, Devices.Cpu);
        var error = Assert.Throws<ShapeException>(() => ReluKernel.Forward(x, y));
        Assert.Equal("Relu: shapes differ: x [2, 3], y [3, 2]", error.Message);
    }
}
