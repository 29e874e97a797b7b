using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class ConcatTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Forward_and_backward(string device)
    {
        (int[][] Shapes, int Axis)[] cases =
        [
            ([[3, 5], [2, 5]], 0), ([[3, 5], [3, 2]], 1), ([[4], [0], [3]], 0), ([[2, 0, 3], [2, 2, 3], [2, 1, 3]], 1),
            ([[0, 2], [0, 3]], 1),
            device == "simulator" ? ([[3, 7], [3, 2]], 1) : ([[127, 33], [127, 1025]], 1), ([[31, 4]], 1),
        ];
        foreach ((int[][] shapes, int axis) in cases)
        {
            double[][] expected = Run(Devices.Reference), actual = Run(TestDevices.Get(device));
            for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i]);
            // The slices of the whole are the parts.
            for (int i = 0; i < shapes.Length; i++) Assert.Equal(Part(i).Select(value => (double)value), expected[i + 1]);

            float[] Part(int i) => ElementwiseCheck.Values(shapes[i].Aggregate(1, (a, b) => a * b), (ulong)i);

            double[][] Run(Device on)
            {
                Tensor[] parts = [.. shapes.Select((dims, i) => Tensor.From(Part(i), [.. dims], on))];
                using Tensor y = Tensor.Empty(ConcatKernel.ShapeOf(parts, axis), on.FloatType, on);
                ConcatKernel.Forward(parts, axis, y);
                List<double[]> results = [y.ToArray<double>()];
                int start = 0;
                foreach (Tensor part in parts)
                {
                    using Tensor back = Tensor.Empty(part.Shape, on.FloatType, on);
                    ConcatKernel.Backward(y, axis, start, back);
                    results.Add(back.ToArray<double>());
                    start += part.Shape[axis];
                    part.Dispose();
                }
                return [.. results];
            }
        }
    }

    [Fact]
    public void Rows_and_columns_lie_where_they_should()
    {
        using Tensor a = Tensor.From([1f, 2, 3, 4], [2, 2], Devices.Cpu), b = Tensor.From([5f, 6], [1, 2], Devices.Cpu);
        using Tensor rows = Functions.Concat(0, a, b), column = b.Reshape([2, 1]), columns = Functions.Concat(1, a, column);
        Assert.Equal([1f, 2, 3, 4, 5, 6], rows.ToArray<float>());
        Assert.Equal([1f, 2, 5, 3, 4, 6], columns.ToArray<float>());
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device)
    {
        ElementwiseCheck.Gradients(device, p => Functions.Concat(0, p[0], p[1]), [2, 3], [4, 3]);
        ElementwiseCheck.Gradients(device, p => Functions.Concat(1, p[0], p[1], p[0]), [2, 3], [2, 2]);
    }

    [Fact]
    public void Parts_must_fit()
    {
        using Tensor a = Tensor.Zeros([2, 3], DType.Float32, Devices.Cpu), b = Tensor.Zeros([3, 2], DType.Float32, Devices.Cpu);
        var error = Assert.Throws<ShapeException>(() => Functions.Concat(0, a, b));
        Assert.Equal("Concat: shapes differ beside dimension 0: [2, 3], [3, 2]", error.Message);
        Assert.Throws<ShapeException>(() => Functions.Concat(2, a, a));
        Assert.Throws<ShapeException>(() => Functions.Concat(0));
        Assert.Throws<ShapeException>(() => ConcatKernel.Backward(a, 0, 1, a));
    }
}
