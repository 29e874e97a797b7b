using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Core;

/// <summary>Messages start with the op and show every shape.</summary>
public class CheckTests
{
    [Fact]
    public void Shapes()
    {
        using Tensor a = Tensor.Zeros([8, 16], DType.Float32, Devices.Cpu, "a"), b = Tensor.Zeros([32, 4], DType.Float32, Devices.Cpu, "b");
        Check.SameShape("Add", a, a);
        Assert.Equal("Add: shapes differ: a [8, 16], b [32, 4]", Assert.Throws<ShapeException>(() => Check.SameShape("Add", a, b)).Message);
        Check.HasShape("Fold", a, [8, 16]);
        Assert.Equal("Fold: a must be [16, 8], is [8, 16]",
            Assert.Throws<ShapeException>(() => Check.HasShape("Fold", a, [16, 8])).Message);
        Check.HasRank("Norm", a, 2);
        Assert.Equal("Norm: b must have 3 dimensions, is [32, 4]",
            Assert.Throws<ShapeException>(() => Check.HasRank("Norm", b, 3)).Message);
        Check.Shapes(true, $"never built: {Throwing()}");
        Assert.Equal("MatMul: inner dimensions differ: a [8, 16] · b [32, 4] (16 ≠ 32)", Assert.Throws<ShapeException>(() =>
            Check.Shapes(a.Shape[1] == b.Shape[0],
                $"MatMul: inner dimensions differ: a {a.Shape} · b {b.Shape} ({a.Shape[1]} ≠ {b.Shape[0]})")).Message);
    }

    [Fact]
    public void Outputs_apart_from_inputs()
    {
        using Tensor x = Tensor.Zeros([4, 4], DType.Float32, Devices.Cpu, "x"), w = Tensor.Zeros([4, 4], DType.Float32, Devices.Cpu, "w");
        using Tensor upper = x.View([2, 4]), lower = x.View([2, 4], 8), middle = x.View([2, 4], 4), nothing = x.View([0, 4], 8);
        Check.Apart("MatMul", upper, lower, null, w, nothing);
        Assert.Equal("MatMul: the output 'x' [2, 4] shares memory with the input 'x' [2, 4]",
            Assert.Throws<ArgumentException>(() => Check.Apart("MatMul", middle, w, lower)).Message);
        Assert.Throws<ArgumentException>(() => MatMulKernel.Forward(x, w, x));
        using FrozenWeight frozen = FrozenWeight.Create(w);
        Assert.Throws<ArgumentException>(() => FrozenLinearKernel.Forward(x, frozen, null, x));
        Assert.Throws<ArgumentException>(() => FrozenLinearKernel.Backward(x, frozen, x));
        using Tensor y = Tensor.Zeros([4, 4], DType.Float32, Devices.Cpu), z = Tensor.Zeros([4, 4], DType.Float32, Devices.Cpu);
        Assert.Throws<ArgumentException>(() => LowRankLinearKernel.Forward(x, frozen, null, w, y, z, z));
        Assert.Throws<ArgumentException>(() => LowRankLinearKernel.Backward(x, frozen, w, y, z, y, z, null, null));
    }

    [Fact]
    public void Types_and_devices()
    {
        Device cpu = Devices.Cpu, reference = Devices.Reference;
        using Tensor x = Tensor.Zeros([2], DType.Float32, cpu, "x"), ids = Tensor.Zeros([3], DType.Int32, cpu, "ids");
        using Tensor far = Tensor.Zeros([2], DType.Float64, reference, "far");
        Check.HasDType("Embedding", ids, DType.Int32);
        Assert.Equal("Embedding: x [2] must be int32, is float32",
            Assert.Throws<DTypeException>(() => Check.HasDType("Embedding", x, DType.Int32)).Message);
        Assert.Same(cpu, Check.Floats("Relu", x, null, x));
        Assert.Contains("Relu: 'ids' [3] is int32", Assert.Throws<DTypeException>(() => Check.Floats("Relu", x, ids)).Message);
        Assert.Same(cpu, Check.OneDevice("Gather", null, x, ids));
        string message = Assert.Throws<DeviceException>(() => Check.OneDevice("Gather", x, far)).Message;
        Assert.Equal($"Gather: 'x' [2] lies on {cpu.Name}, 'far' [2] on {reference.Name}", message);
        Assert.Throws<ArgumentException>(() => Check.OneDevice("Gather", (Tensor?)null));
    }

    [Fact]
    public void A_disposed_tensor_is_named()
    {
        Tensor gone = Tensor.Zeros([2], DType.Float32, Devices.Cpu, "gone");
        gone.Dispose();
        Assert.Contains("'gone' [2] was disposed", Assert.Throws<ObjectDisposedException>(() => Check.Floats("Relu", gone)).Message);
    }

    private static string Throwing() => throw new InvalidOperationException("A message was built although its check holds.");
}
