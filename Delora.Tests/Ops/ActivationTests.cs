using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

/// <summary>What every smooth activation is tested for.</summary>
/// <param name="op">Its name in messages.</param>
public abstract class ActivationTests(string op)
{
    /// <summary>Inputs and the results that they must have.</summary>
    protected abstract (float X, float Y)[] KnownValues { get; }

    protected abstract void ForwardKernel(Tensor x, Tensor y);

    /// <summary>The kernel's first operand is x, or what <see cref="Saved"/> makes of it.</summary>
    protected abstract void BackwardKernel(Tensor saved, Tensor dy, Tensor dx);

    protected abstract Tensor Function(Tensor x);

    /// <summary>What the backward pass reads, computed from x.</summary>
    protected virtual float Saved(float x) => x;

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Forward(string device) => ElementwiseCheck.Unary(device, ForwardKernel, 1e-6);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Backward(string device) => ElementwiseCheck.Binary(device, BackwardKernel, 3e-6, Saved);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Known_and_special_values(string device)
    {
        float[] actual = ElementwiseCheck.On(device, ForwardKernel, [.. KnownValues.Select(pair => pair.X), float.NaN]);
        for (int i = 0; i < KnownValues.Length; i++) Assert.Equal(KnownValues[i].Y, actual[i], 1e-6f);
        Assert.True(float.IsNaN(actual[^1]));
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device) => ElementwiseCheck.Gradients(device, Function, 3, 5);

    [Fact]
    public void Shapes_must_agree()
    {
        using Tensor x = Tensor.Zeros([2, 3], DType.Float32, Devices.Cpu), y = Tensor.Zeros([3, 2], DType.Float32, Devices.Cpu);
        var error = Assert.Throws<ShapeException>(() => ForwardKernel(x, y));
        Assert.Equal($"{op}: shapes differ: x [2, 3], y [3, 2]", error.Message);
    }
}
