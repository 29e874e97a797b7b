using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class ViewTests
{
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device)
    {
        ElementwiseCheck.Gradients(device, x => x.Reshape([5, 3]).Tanh(), 3, 5);
        ElementwiseCheck.Gradients(device, x => x.Slice(1, 2).Tanh(), 4, 3);
        // The slices overlap: their gradients add up.
        ElementwiseCheck.Gradients(device, x => x.Slice(0, 3).Multiply(x.Slice(1, 3)), 4, 3);
        ElementwiseCheck.Gradients(device, x => x.Tanh().Slice(0, 2).Add(x.Tanh().Reshape([2, 6]).Slice(1, 1).Reshape([2, 3])), 4, 3);
    }

    [Fact]
    public void Views_share_memory()
    {
        using Tensor x = Tensor.From([1f, 2, 3, 4, 5, 6], [3, 2], Devices.Cpu);
        using Tensor slice = x.Slice(1, 2), flat = x.Reshape([6]), empty = x.Slice(3, 0);
        x.CopyFrom<float>([6f, 5, 4, 3, 2, 1]);
        Assert.Equal([4f, 3, 2, 1], slice.ToArray<float>());
        Assert.Equal([6f, 5, 4, 3, 2, 1], flat.ToArray<float>());
        Assert.Equal(0, empty.ElementCount);
    }

    [Fact]
    public void No_gradient_passes_a_detach()
    {
        using var p = new Parameter("p", Tensor.From([2f, 3f], [2], Devices.Cpu));
        using var tape = new Tape();
        Tensor y = p.Value.Multiply(p.Value.Detach());
        tape.Backward(y, Tensor.From([1f, 1f], [2], Devices.Cpu));
        Assert.Equal([2f, 3f], p.Gradient!.ToArray<float>());
    }

    [Fact]
    public void Sizes_are_checked()
    {
        using Tensor x = Tensor.Zeros([3, 2], DType.Float32, Devices.Cpu);
        Assert.Equal("Reshape: [3, 2] has 6 elements, [4] has 4", Assert.Throws<ShapeException>(() => x.Reshape([4])).Message);
        Assert.Equal("Slice: 2 rows from row 2 do not lie within [3, 2]", Assert.Throws<ShapeException>(() => x.Slice(2, 2)).Message);
        Assert.Throws<ShapeException>(() => x.Slice(-1, 1));
        Assert.Throws<ShapeException>(() => x.Slice(int.MaxValue, int.MaxValue));
    }
}
