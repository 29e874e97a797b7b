using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class MultiplyTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Forward(string device) => ElementwiseCheck.Binary(device, MultiplyKernel.Forward, 1e-6);

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device)
    {
        ElementwiseCheck.Gradients(device, p => p[0].Value.Multiply(p[1]), [3, 5], [3, 5]);
        ElementwiseCheck.Gradients(device, x => x.Multiply(x), 3, 5);
    }

    [Fact]
    public void A_gradient_reaches_only_who_needs_it()
    {
        using var a = new Parameter("a", Tensor.Zeros([2], DType.Float32, Devices.Cpu));
        using Tensor constant = Tensor.From([3f, 4f], [2], Devices.Cpu);
        foreach (bool first in new[] { true, false })
        {
            using var tape = new Tape();
            Tensor y = first ? a.Value.Multiply(constant) : constant.Multiply(a);
            tape.Backward(y, Tensor.From([1f, 2f], [2], Devices.Cpu));
            Assert.Equal([3f, 8f], a.Gradient!.ToArray<float>());
            a.ZeroGradient();
        }
    }

    [Fact]
    public void Shapes_must_agree()
    {
        using Tensor x = Tensor.Zeros([2, 3], DType.Float32, Devices.Cpu), y = Tensor.Zeros([3, 2], DType.Float32, Devices.Cpu);
        var error = Assert.Throws<ShapeException>(() => MultiplyKernel.Forward(x, y, x));
        Assert.Equal("Multiply: shapes differ: a [2, 3], b [3, 2]", error.Message);
    }
}
