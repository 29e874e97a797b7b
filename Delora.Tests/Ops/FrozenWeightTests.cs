using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class FrozenWeightTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GivesBackTheBits(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int outputs, int inputs) in new[] { (0, 3), (3, 0), (1, 1), (31, 33), (32, 127), (33, 129), (2, 1025) })
        {
            float[] numbers = LinearAssert.Numbers(1, (long)outputs * inputs);
            if (numbers.Length > 4) (numbers[0], numbers[1], numbers[2]) = (float.NaN, -0f, float.Epsilon);
            using Tensor w = Tensor.From(numbers, [outputs, inputs], device);
            using FrozenWeight weight = FrozenWeight.Create(w);
            Assert.Equal((outputs, inputs), (weight.Out, weight.In));
            Assert.True(weight.ByteLength >= numbers.Length * sizeof(float));
            using Tensor back = weight.ToTensor();
            Assert.Equal(numbers.Select(BitConverter.SingleToInt32Bits), back.ToArray<float>().Select(BitConverter.SingleToInt32Bits));
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ReplaceChangesBothDirections(string name)
    {
        Device device = TestDevices.Get(name);
        using Tensor first = LinearAssert.Operand(1, [17, 9], device), second = LinearAssert.Operand(2, [17, 9], device);
        using Tensor x = LinearAssert.Operand(3, [5, 9], device), dy = LinearAssert.Operand(4, [5, 17], device);
        using FrozenWeight weight = FrozenWeight.Create(first), direct = FrozenWeight.Create(second);
        (float[] Y, float[] Dx) before = Both(weight); // the way back has been prepared, too
        weight.Replace(second);
        Assert.Equal(Both(direct), Both(weight), Same);
        weight.Replace(first);
        Assert.Equal(before, Both(weight), Same);

        (float[] Y, float[] Dx) Both(FrozenWeight frozen)
        {
            using Tensor y = Tensor.Empty([5, 17], DType.Float32, device), dx = Tensor.Empty([5, 9], DType.Float32, device);
            FrozenLinearKernel.Forward(x, frozen, null, y);
            FrozenLinearKernel.Backward(dy, frozen, dx);
            return (y.ToArray<float>(), dx.ToArray<float>());
        }

        static bool Same((float[] Y, float[] Dx) left, (float[] Y, float[] Dx) right) =>
            left.Y.SequenceEqual(right.Y) && left.Dx.SequenceEqual(right.Dx);
    }

    [Fact]
    public void RefusesOtherShapesAndDevices()
    {
        using Tensor w = Tensor.Zeros([5, 4], DType.Float32, Devices.Cpu), vector = Tensor.Zeros([5], DType.Float32, Devices.Cpu);
        using Tensor other = Tensor.Zeros([4, 5], DType.Float32, Devices.Cpu);
        using Tensor elsewhere = Tensor.Zeros([5, 4], DType.Float64, Devices.Reference);
        using FrozenWeight weight = FrozenWeight.Create(w);
        Assert.Throws<ShapeException>(() => FrozenWeight.Create(vector));
        Assert.Throws<ShapeException>(() => weight.Replace(other));
        Assert.Throws<DeviceException>(() => weight.Replace(elsewhere));
    }
}
