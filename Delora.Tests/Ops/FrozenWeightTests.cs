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
        foreach (FrozenDirections directions in device is CpuDevice ? (FrozenDirections[])[FrozenDirections.One, FrozenDirections.Both] : [FrozenDirections.One])
        {
            using FrozenWeight weight = FrozenWeight.Create(first, directions: directions), direct = FrozenWeight.Create(second, directions: directions);
            // Where both directions are resident, the way back has been prepared, too.
            (float[] Y, float[] Dx) before = Both(weight);
            weight.Replace(second);
            Assert.Equal(Both(direct), Both(weight), Same);
            weight.Replace(first);
            Assert.Equal(before, Both(weight), Same);
        }

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

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void RowsAndColumnNormsAreThoseOfTheWeight(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int outputs, int inputs) in new[] { (3, 0), (1, 1), (31, 33), (33, 129), (2, 1025) })
        {
            using Tensor w = LinearAssert.Operand(1, [outputs, inputs], device);
            using FrozenWeight weight = FrozenWeight.Create(w);
            using Tensor norms = weight.ColumnNorms("w"), expected = Tensor.Empty([inputs], device.FloatType, device);
            ColumnNormKernel.Forward(w, expected);
            Assert.Equal(("w", expected.Shape), (norms.Name, norms.Shape));
            Assert.Equal(expected.ToArray<double>(), norms.ToArray<double>());

            using Tensor ids = Tensor.From([outputs - 1, 0, outputs / 2, 0], [2, 2], device);
            using Tensor rows = Tensor.Empty([2, 2, inputs], device.FloatType, device);
            using Tensor looked = Tensor.Empty(rows.Shape, rows.DType, device);
            weight.Rows(ids, rows);
            EmbeddingKernel.Forward(ids, w, looked);
            Assert.Equal(looked.ToArray<double>(), rows.ToArray<double>());

            using Tensor bad = Tensor.From([0, outputs], [2], device), two = Tensor.Empty([2, inputs], device.FloatType, device);
            Assert.Contains($"below {outputs}", Assert.Throws<IndexException>(() => weight.Rows(bad, two)).Message);
            Assert.Throws<ShapeException>(() => weight.Rows(ids, two));
        }
    }

    [Fact]
    public void TheWayBackIsMadeOnceByWhoeverAsksFirst()
    {
        using var cpu = new CpuDevice(2);
        using (Tensor w = LinearAssert.Operand(1, [65, 33], cpu), dy = LinearAssert.Operand(2, [7, 65], cpu))
        using (FrozenWeight weight = Both(w), alone = Both(w))
        {
            float[] expected = Back(alone, dy);
            long before = weight.ByteLength, blocks = cpu.Memory.Statistics.LiveAllocations;
            using var start = new Barrier(4);
            var threads = new Thread[4];
            float[][] results = new float[4][];
            for (int i = 0; i < 4; i++)
            {
                int own = i;
                threads[i] = new Thread(() =>
                {
                    start.SignalAndWait();
                    results[own] = Back(weight, dy);
                });
                threads[i].Start();
            }
            foreach (Thread thread in threads) thread.Join();
            Assert.All(results, result => Assert.Equal(expected, result));
            Assert.Equal((alone.ByteLength, blocks + 1), (weight.ByteLength, cpu.Memory.Statistics.LiveAllocations));
            Assert.True(weight.ByteLength > before);
        }
        Assert.Equal(0, cpu.Memory.Statistics.LiveAllocations);

        static FrozenWeight Both(Tensor w) => FrozenWeight.Create(w, directions: FrozenDirections.Both);

        static float[] Back(FrozenWeight weight, Tensor dy)
        {
            using Tensor dx = Tensor.Empty([7, 33], DType.Float32, weight.Device);
            FrozenLinearKernel.Backward(dy, weight, dx);
            return dx.ToArray<float>();
        }
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
        using Tensor ids = Tensor.From([0], [1], Devices.Reference), rows = Tensor.Zeros([1, 4], DType.Float64, Devices.Reference);
        Assert.Throws<DeviceException>(() => weight.Rows(ids, rows));
    }
}
