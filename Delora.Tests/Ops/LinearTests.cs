using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class LinearTests
{
    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        Device device = Devices.Reference;
        using Parameter x = new("x", LinearAssert.Operand(1, [2, 3, 4], device)), w = new("w", LinearAssert.Operand(2, [5, 4], device));
        using Parameter bias = new("bias", LinearAssert.Operand(3, [5], device));
        GradientCheck.Numerical(() => x.Value.Linear(w, bias), [x, w, bias]);
        GradientCheck.Numerical(() => x.Value.Linear(w), [x, w]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsAgreeAlongADirection(string name)
    {
        Device device = TestDevices.Get(name);
        using Parameter x = new("x", LinearAssert.Operand(1, [9, 8], device)), w = new("w", LinearAssert.Operand(2, [7, 8], device));
        using Parameter bias = new("bias", LinearAssert.Operand(3, [7], device));
        GradientCheck.Directional(() => x.Value.Linear(w, bias), [x, w, bias]);
    }

    [Fact]
    public void KeepsLeadingDimensions()
    {
        using Tensor x = LinearAssert.Operand(1, [2, 3, 4], Devices.Cpu), w = LinearAssert.Operand(2, [5, 4], Devices.Cpu);
        using Tensor vector = LinearAssert.Operand(1, [4], Devices.Cpu);
        using Tensor y = x.Linear(w), single = vector.Linear(w);
        Assert.Equal(new Shape(2, 3, 5), y.Shape);
        Assert.Equal(new Shape(5), single.Shape);
        using Tensor scalar = Tensor.Zeros([], DType.Float32, Devices.Cpu);
        Assert.Throws<ShapeException>(() => scalar.Linear(w));
    }
}
