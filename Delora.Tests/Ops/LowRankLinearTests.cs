using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class LowRankLinearTests
{
    private static readonly DropoutMask s_mask = new(0.3f, new RandomStream(7, 13));

    public static TheoryData<string, FrozenStorage> Stored => TestDevices.Names.With(PlainStorage.All.Where(storage => storage != FrozenStorage.Float32));

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int rows, int inputs, int outputs, int rank) in new[]
        {
            (0, 3, 4, 2), (1, 1, 1, 1), (33, 31, 32, 8), (5, 129, 127, 4), (3, 33, 31, 33), (17, 8, 9, 0), (31, 12, 1, 2), (2, 1025, 3, 1),
        })
            foreach (DropoutMask? dropout in new DropoutMask?[] { null, s_mask })
                foreach (bool accumulate in new[] { false, true })
                    Compare(device, rows, inputs, outputs, rank, dropout, accumulate);
    }

    [Theory, MemberData(nameof(Stored))]
    public void OverAStoredWeightMatchesTheReference(string name, FrozenStorage storage)
    {
        Device device = TestDevices.Get(name);
        foreach ((int rows, int inputs, int outputs, int rank) in new[] { (1, 1, 1, 1), (33, 31, 32, 8), (5, 129, 127, 4), (3, 65, 66, 33), (2, 12, 1, 2) })
            foreach (DropoutMask? dropout in new DropoutMask?[] { null, s_mask })
                Compare(device, rows, inputs, outputs, rank, dropout, dropout is null, storage);
    }

    [Fact]
    public void LargerLayersMatchTheReferenceOnTheCpu()
    {
        // Several tiles and blocks of K, and an output too wide for h to come out of the tiles.
        Compare(Devices.Cpu, 150, 400, 300, 8, s_mask, true);
        Compare(Devices.Cpu, 40, 50, 1500, 16, null, false);
        Compare(Devices.Cpu, 40, 1500, 50, 16, s_mask, false);
    }

    [Fact]
    public void OneDeviceServesManyThreads()
    {
        using var cpu = new CpuDevice(2);
        cpu.Memory.PoisonNewAllocations = true;
        using (Tensor w = LinearAssert.Operand(1, [130, 70], cpu))
        using (FrozenWeight weight = FrozenWeight.Create(w))
        {
            float[][] expected = [.. Enumerable.Range(0, 4).Select(seed => Round(weight, seed))];
            var four = new ParallelOptions { MaxDegreeOfParallelism = 4 };
            Parallel.For(0, 40, four, i => Assert.Equal(expected[i % 4], Round(weight, i % 4)));
        }
        Assert.Equal(0, cpu.Memory.Statistics.LiveAllocations);

        static float[] Round(FrozenWeight weight, int seed)
        {
            using var scope = new TensorScope("round");
            Device cpu = weight.Device;
            Tensor x = LinearAssert.Operand(seed, [65 + seed, 70], cpu), dy = LinearAssert.Operand(seed + 4, [65 + seed, 130], cpu);
            Tensor a = LinearAssert.Operand(seed + 8, [5, 70], cpu), b = LinearAssert.Operand(seed + 12, [130, 5], cpu);
            Tensor h = OpTesting.Output([65 + seed, 5], cpu), y = OpTesting.Output(dy.Shape, cpu), dx = OpTesting.Output(x.Shape, cpu);
            Tensor da = OpTesting.Output(a.Shape, cpu), db = OpTesting.Output(b.Shape, cpu);
            LowRankLinearKernel.Forward(x, weight, null, a, b, h, y, s_mask);
            LowRankLinearKernel.Backward(x, weight, a, b, h, dy, dx, da, db, s_mask);
            return [.. y.ToArray<float>(), .. dx.ToArray<float>(), .. da.ToArray<float>(), .. db.ToArray<float>()];
        }
    }

    [Fact]
    public void OnlyTheWantedGradientsAreComputed()
    {
        Device device = Devices.Cpu;
        using Tensor w = LinearAssert.Operand(1, [7, 6], device), x = LinearAssert.Operand(2, [5, 6], device);
        using Tensor dy = LinearAssert.Operand(3, [5, 7], device), h = LinearAssert.Operand(6, [5, 3], device);
        using Tensor a = LinearAssert.Operand(4, [3, 6], device), b = LinearAssert.Operand(5, [7, 3], device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        using Tensor all = Tensor.Empty([3, 6], DType.Float32, device), alone = Tensor.Empty([3, 6], DType.Float32, device);
        using Tensor dx = Tensor.Empty([5, 6], DType.Float32, device), db = Tensor.Empty([7, 3], DType.Float32, device);
        LowRankLinearKernel.Backward(x, weight, a, b, h, dy, dx, all, db, s_mask);
        LowRankLinearKernel.Backward(x, weight, a, b, h, dy, null, alone, null, s_mask);
        LinearAssert.Close(all, alone, 7);
        LowRankLinearKernel.Backward(x, weight, a, b, h, dy, null, null, null, s_mask);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void GradientsMatchNumericalDifferentiation(bool masked)
    {
        Device device = Devices.Reference;
        DropoutMask? dropout = masked ? s_mask : null;
        using Tensor w = LinearAssert.Operand(1, [5, 4], device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        using Parameter x = new("x", LinearAssert.Operand(2, [2, 3, 4], device)), bias = new("bias", LinearAssert.Operand(3, [5], device));
        using Parameter a = new("a", LinearAssert.Operand(4, [2, 4], device)), b = new("b", LinearAssert.Operand(5, [5, 2], device));
        GradientCheck.Numerical(() => x.Value.LowRankLinear(weight, bias, a, b, dropout), [x, bias, a, b]);
        // x reaches the sum on two ways: the second gradient is added to the first.
        GradientCheck.Numerical(
            () => x.Value.LowRankLinear(weight, null, a, b, dropout).MatMul(x.Value.FrozenLinear(weight), MatMulLayout.NT), [x, a, b]);
        bias.RequiresGradient = x.RequiresGradient = false;
        GradientCheck.Numerical(() => x.Value.LowRankLinear(weight, bias, a, b, dropout), [a, b]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsAgreeAlongADirection(string name)
    {
        Device device = TestDevices.Get(name);
        using Tensor w = LinearAssert.Operand(1, [7, 8], device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        using Parameter x = new("x", LinearAssert.Operand(2, [6, 8], device));
        using Parameter a = new("a", LinearAssert.Operand(4, [3, 8], device)), b = new("b", LinearAssert.Operand(5, [7, 3], device));
        GradientCheck.Directional(() => x.Value.LowRankLinear(weight, null, a, b, s_mask), [x, a, b]);
    }

    [Fact]
    public void RefusesFactorsThatDoNotFit()
    {
        using TensorScope scope = new("what a refused call has allocated");
        Device device = Devices.Cpu;
        using Tensor w = Tensor.Zeros([5, 4], DType.Float32, device), x = Tensor.Zeros([2, 4], DType.Float32, device);
        using Tensor a = Tensor.Zeros([3, 4], DType.Float32, device), b = Tensor.Zeros([5, 2], DType.Float32, device);
        using Tensor good = Tensor.Zeros([5, 3], DType.Float32, device);
        using FrozenWeight weight = FrozenWeight.Create(w);
        Assert.Contains("[5, 3]", Assert.Throws<ShapeException>(() => x.LowRankLinear(weight, null, a, b)).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => x.LowRankLinear(weight, null, a, good, new DropoutMask(1f, default)));
    }

    private static void Compare(
        Device device, int rows, int inputs, int outputs, int rank, DropoutMask? dropout, bool accumulate,
        FrozenStorage storage = FrozenStorage.Float32)
    {
        var results = new Tensor[2][];
        for (int d = 0; d < 2; d++)
        {
            Device on = d == 0 ? Devices.Reference : device;
            using Tensor w = LinearAssert.Operand(1, [outputs, inputs], on), x = LinearAssert.Operand(2, [rows, inputs], on);
            using Tensor a = LinearAssert.Operand(3, [rank, inputs], on), b = LinearAssert.Operand(4, [outputs, rank], on);
            using Tensor bias = LinearAssert.Operand(5, [outputs], on), dy = LinearAssert.Operand(6, [rows, outputs], on);
            using FrozenWeight weight = FrozenWeight.Create(w, storage);
            Tensor h = Tensor.Empty([rows, rank], on.FloatType, on, "h"), y = Tensor.Empty([rows, outputs], on.FloatType, on, "y");
            Tensor dx = Tensor.Empty([rows, inputs], on.FloatType, on, "dx");
            if (accumulate) dx.CopyFrom<float>(LinearAssert.Numbers(7, dx.ElementCount));
            Tensor da = Tensor.Empty([rank, inputs], on.FloatType, on, "da"), db = Tensor.Empty([outputs, rank], on.FloatType, on, "db");
            LowRankLinearKernel.Forward(x, weight, accumulate ? bias : null, a, b, h, y, dropout);
            LowRankLinearKernel.Backward(x, weight, a, b, h, dy, dx, da, db, dropout, accumulate);
            results[d] = [h, y, dx, da, db];
        }
        int terms = (inputs + outputs + rows) * (rank + 1);
        for (int i = 0; i < results[0].Length; i++)
            LinearAssert.Close(results[0][i], results[1][i], terms, $"[{rows}, {inputs}, {outputs}] rank {rank} dropout {dropout} {storage}");
        foreach (Tensor tensor in results[0].Concat(results[1])) tensor.Dispose();
    }
}
