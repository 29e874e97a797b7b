using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class SplitTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ThePartsTogetherAreTheWhole(string name)
    {
        Device device = TestDevices.Get(name);
        using var scope = new TensorScope("test");
        foreach ((int[] dims, int axis, int[] sizes) in ((int[], int, int[])[])
        [
            ([2, 3, 9], 2, [3, 3, 3]), ([5, 33], 1, [1, 31, 0, 1]), ([7, 3], 0, [4, 3]), ([3, 0, 2], 1, [0, 0]), ([6], 0, [6]),
            (name == "simulator" ? [3, 6] : [127, 1029], 1, name == "simulator" ? [1, 5] : [4, 1025]),
        ])
        {
            Tensor x = OpTesting.Floats([.. dims], device, 1);
            Tensor[] parts = x.Split(axis, sizes);
            Assert.Equal(sizes, parts.Select(part => part.Shape[axis]));
            Assert.Equal(x.ToArray<double>(), Functions.Concat(axis, parts).ToArray<double>());
        }
    }

    [Fact]
    public void EachPartHasItsPlace()
    {
        using var scope = new TensorScope("test");
        Tensor[] parts = Tensor.From([1f, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2], Devices.Cpu).Split(1, 1, 1);
        Assert.Equal([1f, 2, 5, 6], parts[0].ToArray<float>());
        Assert.Equal([3f, 4, 7, 8], parts[1].ToArray<float>());
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device)
    {
        ElementwiseCheck.Gradients(device, x => Product(x.Split(1, 2, 2)), 3, 4);
        // One part is not used, one twice, and the whole has another use.
        ElementwiseCheck.Gradients(device, x => x.Tanh().Split(1, 1, 2, 1)[1].Multiply(x.Split(1, 2, 2)[0]), 3, 4);

        static Tensor Product(Tensor[] parts) => parts[0].Multiply(parts[1]).Add(parts[0]);
    }

    [Fact]
    public void SizesAreChecked()
    {
        using Tensor x = Tensor.Zeros([3, 4], DType.Float32, Devices.Cpu);
        Assert.Equal("Split: parts of 1 + 2 are not dimension 1 of [3, 4] (3 ≠ 4)", Assert.Throws<ShapeException>(() => x.Split(1, 1, 2)).Message);
        Assert.Equal("Split: [3, 4] has no dimension 2", Assert.Throws<ShapeException>(() => x.Split(2, 4)).Message);
        Assert.Throws<ShapeException>(() => x.Split(1, 5, -1));
        Assert.Throws<ShapeException>(() => x.Split(1));
        Assert.Throws<ShapeException>(() => x.Split(0, int.MaxValue, int.MaxValue, 5));
    }
}
