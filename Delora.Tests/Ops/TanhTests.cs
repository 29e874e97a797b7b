using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class TanhTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Forward(string device) => ElementwiseCheck.Unary(device, TanhKernel.Forward, 1e-6);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Backward(string device) => ElementwiseCheck.Binary(device, TanhKernel.Backward, 3e-6, MathF.Tanh);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Known_and_special_values(string device)
    {
        float[] x = [0f, 1f, -1f, 30f, float.NegativeInfinity, float.PositiveInfinity];
        float[] expected = [0f, 0.7615942f, -0.7615942f, 1f, -1f, 1f];
        float[] actual = ElementwiseCheck.On(device, TanhKernel.Forward, [.. x, float.NaN]);
        for (int i = 0; i < x.Length; i++) Assert.Equal(expected[i], actual[i], 1e-6f);
        Assert.True(float.IsNaN(actual[^1]));
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device) => ElementwiseCheck.Gradients(device, x => x.Tanh(), 3, 5);

    [Fact]
    public void Shapes_must_agree()
    {
        using Tensor x = Tensor.Zeros([2, 3], DType.Float32, Devices.Cpu), y = Tensor.Zeros([3, 2], DType.Float32, Devices.Cpu);
        var error = Assert.Throws<ShapeException>(() => TanhKernel.Forward(x, y));
        Assert.Equal("Tanh: shapes differ: x [2, 3], y [3, 2]", error.Message);
    }
}
