using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class MatMulTests
{
    public static TheoryData<MatMulLayout> Layouts => [.. Enum.GetValues<MatMulLayout>()];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
            foreach ((int m, int n, int k) in new[]
            {
            (0, 3, 3), (3, 0, 3), (3, 3, 0), (1, 1, 1), (31, 33, 32), (33, 1, 31), (1, 33, 127), (32, 31, 129), (5, 8, 1025), (127, 6, 9),
        })
                for (int form = 0; form < 4; form++)
                    Check(device, layout, null, m, n, k, bias: form % 2 == 1, accumulate: form >= 2);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void BatchMatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
            foreach ((int batch, int m, int n, int k) in new[] { (0, 2, 2, 2), (1, 7, 5, 3), (3, 17, 31, 9), (4, 1, 33, 16), (2, 3, 4, 0) })
            {
                Check(device, layout, batch, m, n, k, bias: false, accumulate: false);
                Check(device, layout, batch, m, n, k, bias: true, accumulate: true);
            }
    }

    [Theory, MemberData(nameof(Layouts))]
    public void BitsDoNotDependOnThreadsOrRuns(MatMulLayout layout)
    {
        using CpuDevice one = new(1), two = new(2);
        foreach ((int m, int n, int k) in new[] { (129, 1025, 129), (1025, 8, 300), (8, 1025, 2500) })
        {
            float[][] results = [.. new[] { one, two, two }.Select(device =>
            {
                using Tensor a = Left(device, layout, null, m, k), b = Right(device, layout, null, n, k);
                using Tensor c = Tensor.Empty([m, n], DType.Float32, device);
                MatMulKernel.Forward(a, b, c, layout);
                return c.ToArray<float>();
            })];
            Assert.Equal(results[0], results[1]);
            Assert.Equal(results[0], results[2]);
        }
    }

    [Theory, MemberData(nameof(Layouts))]
    public void GradientsMatchNumericalDifferentiation(MatMulLayout layout)
    {
        Device device = Devices.Reference;
        foreach (int? batch in new int?[] { null, 2 })
        {
            using Parameter a = new("a", Left(device, layout, batch, 3, 4)), b = new("b", Right(device, layout, batch, 5, 4));
            GradientCheck.Numerical(() => a.Value.MatMul(b, layout), [a, b]);
        }
        // One tensor on both sides: the two gradients add up.
        using Parameter both = new("both", LinearAssert.Operand(3, [4, 4], device));
        GradientCheck.Numerical(() => both.Value.MatMul(both, layout), [both]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsAgreeAlongADirection(string name)
    {
        Device device = TestDevices.Get(name);
        using Parameter a = new("a", LinearAssert.Operand(1, [6, 9], device)), b = new("b", LinearAssert.Operand(2, [9, 7], device));
        GradientCheck.Directional(() => a.Value.MatMul(b), [a, b]);
    }

    [Fact]
    public void MessagesShowBothShapes()
    {
        Device device = Devices.Cpu;
        using Tensor a = Tensor.Zeros([8, 16], DType.Float32, device), b = Tensor.Zeros([32, 4], DType.Float32, device);
        ShapeException error = Assert.Throws<ShapeException>(() => a.MatMul(b));
        Assert.Equal("MatMul: inner dimensions differ: a [8, 16] · b [32, 4] (16 ≠ 32)", error.Message);
        using Tensor batched = Tensor.Zeros([2, 8, 16], DType.Float32, device), other = Tensor.Zeros([3, 16, 4], DType.Float32, device);
        Assert.Contains("batches differ", Assert.Throws<ShapeException>(() => batched.MatMul(other)).Message);
        Assert.Contains("[2, 8, 16]", Assert.Throws<ShapeException>(() => batched.MatMul(a)).Message);
    }

    private static void Check(Device device, MatMulLayout layout, int? batch, int m, int n, int k, bool bias, bool accumulate)
    {
        Tensor[] outputs = [.. new[] { Devices.Reference, device }.Select(on =>
        {
            using Tensor a = Left(on, layout, batch, m, k), b = Right(on, layout, batch, n, k), offset = LinearAssert.Operand(3, [n], on);
            Shape shape = batch is { } size ? [size, m, n] : [m, n];
            Tensor c = accumulate ? LinearAssert.Operand(4, shape, on, "c") : Tensor.Empty(shape, on.FloatType, on, "c");
            MatMulKernel.Forward(a, b, c, layout, bias ? offset : null, accumulate);
            return c;
        })];
        LinearAssert.Close(outputs[0], outputs[1], k, $"{layout} {batch}x[{m}, {n}, {k}] bias {bias} accumulate {accumulate}");
        foreach (Tensor output in outputs) output.Dispose();
    }

    private static Tensor Left(Device device, MatMulLayout layout, int? batch, int m, int k) =>
        LinearAssert.Operand(1, Shaped(batch, layout == MatMulLayout.TN ? (k, m) : (m, k)), device, "a");

    private static Tensor Right(Device device, MatMulLayout layout, int? batch, int n, int k) =>
        LinearAssert.Operand(2, Shaped(batch, layout == MatMulLayout.NT ? (n, k) : (k, n)), device, "b");

    private static Shape Shaped(int? batch, (int Rows, int Columns) matrix) =>
        batch is { } size ? [size, matrix.Rows, matrix.Columns] : [matrix.Rows, matrix.Columns];
}
