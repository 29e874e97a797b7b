using Delora.Bench;
using Delora.Core;
using Delora.Kernels;
using Delora.Tests.Ops;
using Delora.Tests.Ptx;

namespace Delora.Tests.Products;

/// <summary>What <see cref="GpuDevice.MatMulPrecision"/> changes, and where it is refused.</summary>
public sealed class MatMulPrecisionTests
{
    private const int Rows = 21, In = 40, Out = 24, Rank = 3;

    public static TheoryData<string> Cards => TestDevices.CudaNames;

    public static TheoryData<string, FrozenStorage> Stored => TestDevices.GpuNames.With(PlainStorage.All);

    public static TheoryData<string, MatMulPrecision> Cases => TestDevices.CudaNames.With(Enum.GetValues<MatMulPrecision>());

    /// <summary>The layers, forward and backward, against the reference device's within the rounding of two factors.</summary>
    [Theory, MemberData(nameof(Cases))]
    public void EveryLayerRoundsSo(string card, MatMulPrecision precision)
    {
        Device gpu = TestDevices.Get(card);
        using var scope = new PrecisionScope(gpu, precision);
        Assert.Equal(precision, scope.Current);
        // Twice the unit roundoff for each of at most three products in a row, of sums of at most Rows · Out numbers below 1.
        double unit = precision switch { MatMulPrecision.Float32 => Math.ScaleB(1, -21), MatMulPrecision.BFloat16 => Math.ScaleB(1, -8), _ => Math.ScaleB(1, -11) };
        foreach ((FrozenStorage storage, DropoutMask? mask) in
            from storage in (FrozenStorage[])[FrozenStorage.Float32, FrozenStorage.BFloat16, FrozenStorage.Float16, FrozenStorage.Int8, FrozenStorage.Nf4]
            from mask in (DropoutMask?[])[null, new DropoutMask(0.4f, new RandomStream(7, 123))]
            select (storage, mask))
        {
            (string Name, float[] Values)[] expected = Results(Devices.Reference, storage, mask), actual = Results(gpu, storage, mask);
            Assert.Equal(expected.Length, actual.Length);
            bool differs = false;
            foreach (((string name, float[] want), (_, float[] got)) in expected.Zip(actual))
            {
                double largest = want.Max(value => Math.Abs(value));
                for (int i = 0; i < want.Length; i++)
                {
                    Assert.True(
                        Math.Abs(got[i] - want[i]) <= 6 * unit * Math.Max(1, largest),
                        $"{precision} {storage} {mask}: {name}[{i}] is {got[i]}, not {want[i]}");
                    differs |= Math.Abs(got[i] - want[i]) > Math.ScaleB(largest, -16);
                }
            }
            Assert.Equal(precision != MatMulPrecision.Float32, differs);
        }
    }

    /// <summary>Products and lookups of a frozen weight need no memory for another copy of it, whatever it is kept in.</summary>
    [Theory, MemberData(nameof(Stored))]
    public void AWeightIsReadAsItLies(string name, FrozenStorage storage)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        MatMulPrecision[] precisions = GpuMatrixProduct.RunsTexts(gpu) ? Enum.GetValues<MatMulPrecision>() : [MatMulPrecision.Float32];
        foreach (MatMulPrecision precision in precisions)
        {
            using var scope = new PrecisionScope(gpu, precision);
            using Tensor w = Values([Out, In], 2, gpu), x = Values([Rows, In], 1, gpu), y = Tensor.Empty([Rows, Out], DType.Float32, gpu);
            using Tensor dx = Tensor.Empty([Rows, In], DType.Float32, gpu), ids = Tensor.From([3, 0], [2], gpu), rows = Tensor.Empty([2, In], DType.Float32, gpu);
            using FrozenWeight weight = FrozenWeight.Create(w, storage);
            long before = gpu.Memory.Statistics.BytesInUse;
            gpu.Memory.ResetPeak();
            FrozenLinearKernel.Forward(x, weight, null, y);
            FrozenLinearKernel.Backward(y, weight, dx);
            Assert.Equal(before, gpu.Memory.Statistics.PeakBytesInUse);
            weight.Rows(ids, rows);
            // A count of ids that are out of range, and no number of the weight.
            Assert.InRange(gpu.Memory.Statistics.PeakBytesInUse - before, 0, Out * In / 2);
        }
    }

    [Fact]
    public void OtherDevicesRefuseByName()
    {
        var simulator = (GpuDevice)TestDevices.Get("simulator");
        DeviceException error = Assert.Throws<DeviceException>(() => simulator.MatMulPrecision = MatMulPrecision.BFloat16);
        Assert.Contains("not in bfloat16", error.Message);
        Assert.Contains("Simulator", error.Message);
        simulator.MatMulPrecision = MatMulPrecision.Float32;
        using GpuDevice old = InterpretedDevice.Start(PtxMachineDriver.Hopper with { Major = 7, Minor = 5 }, "an older card");
        error = Assert.Throws<DeviceException>(() => old.MatMulPrecision = MatMulPrecision.TensorFloat32);
        Assert.Contains("this one has 7.5", error.Message);
        Assert.Equal(MatMulPrecision.Float32, old.MatMulPrecision);
        using GpuDevice oldDriver = InterpretedDevice.Start(PtxMachineDriver.Hopper with { Major = 8, PtxVersion = 73 }, "a card with an older driver");
        error = Assert.Throws<DeviceException>(() => oldDriver.MatMulPrecision = MatMulPrecision.Float16);
        Assert.Contains("reads PTX 7.3", error.Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => old.MatMulPrecision = (MatMulPrecision)9);
    }

    [Fact]
    public void APlanningTwinTakesTheMemoryOfRoundedOperands()
    {
        using GpuDevice gpu = InterpretedDevice.Start(PtxMachineDriver.Hopper, "a card");
        gpu.MatMulPrecision = MatMulPrecision.BFloat16;
        using Device twin = Devices.Planning(gpu);
        foreach (FrozenStorage? storage in (FrozenStorage?[])[null, FrozenStorage.Int8, FrozenStorage.Nf4])
        {
            (long Forward, long Backward) peak = Peak(gpu, storage);
            // x [8, 16] in 16 bits, and nothing else.
            Assert.Equal(DeviceAllocator.SizeClass(8 * 16 * 2), peak.Forward);
            // The inner dimension is split: some of [8, 16] in float32.
            Assert.InRange(peak.Backward, 2 * 8 * 16 * 4, 64 * 8 * 16 * 4);
            Assert.Equal(peak, Peak(twin, storage));
        }

        static (long Forward, long Backward) Peak(Device device, FrozenStorage? storage)
        {
            using Tensor x = Values([8, 16], 1, device), w = Values([1024, 16], 2, device), y = Tensor.Empty([8, 1024], device.FloatType, device);
            using FrozenWeight? weight = storage is { } kept ? FrozenWeight.Create(w, kept) : null;
            long before = device.Memory.Statistics.BytesInUse;
            return (Measure(() =>
            {
                if (weight is null) MatMulKernel.Forward(x, w, y, MatMulLayout.NT);
                else FrozenLinearKernel.Forward(x, weight, null, y);
            }), Measure(() =>
            {
                if (weight is null) MatMulKernel.Forward(y, w, x);
                else FrozenLinearKernel.Backward(y, weight, x);
            }));

            long Measure(Action product)
            {
                device.Memory.ResetPeak();
                product();
                return device.Memory.Statistics.PeakBytesInUse - before;
            }
        }
    }

    [Fact]
    public void AnOlderCardComputesProductsWhoseInnerDimensionIsSplit()
    {
        using GpuDevice old = InterpretedDevice.Start(PtxMachineDriver.Hopper with { Major = 6, Minor = 0, PtxVersion = 60 }, "an older card");
        MatMulSize size = new(1, 3, 5, 700);
        Assert.InRange(ProductPlan.Choose(size, null, true, old.Target!.Multiprocessors).Splits, 2, 64);
        float[] expected = Product(Devices.Reference), actual = Product(old);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-4f);

        float[] Product(Device device)
        {
            using Tensor a = Values([size.M, size.K], 1, device), b = Values([size.N, size.K], 2, device);
            using Tensor c = Tensor.Empty([size.M, size.N], device.FloatType, device);
            MatMulKernel.Forward(a, b, c, MatMulLayout.NT);
            return c.ToArray<float>();
        }
    }

    private static (string Name, float[] Values)[] Results(Device device, FrozenStorage storage, DropoutMask? mask)
    {
        using Tensor x = Values([Rows, In], 1, device), w = Values([Out, In], 2, device), bias = Values([Out], 3, device);
        using Tensor a = Values([Rank, In], 4, device), b = Values([Out, Rank], 5, device), g = Values([Rows, Out], 6, device);
        using Tensor h = Output([Rows, Rank]), y = Output([Rows, Out]), plain = Output([Rows, Out]), da = Output([Rank, In]), db = Output([Out, Rank]);
        using Tensor dx = Output([Rows, In]), sum = Values([Rows, In], 7, device), dw = Output([Out, In]), loss = Output([]), lossDx = Output([Rows, In]);
        using Tensor labels = Tensor.From(Enumerable.Range(0, Rows).Select(i => i % Out).ToArray(), [Rows], device);
        using FrozenWeight weight = FrozenWeight.Create(w, storage);
        LowRankLinearKernel.Forward(x, weight, bias, a, b, h, y, mask);
        LowRankLinearKernel.Backward(x, weight, a, b, h, g, dx, da, db, mask);
        LowRankLinearKernel.Backward(x, weight, a, b, h, g, sum, null, null, mask, accumulateDx: true);
        FrozenLinearKernel.Forward(x, weight, bias, plain);
        MatMulKernel.Forward(g, x, dw, MatMulLayout.TN);
        LinearCrossEntropyKernel.Forward(x, weight, labels, loss, lossDx);
        return
        [
            .. new (string Name, Tensor Tensor)[]
            {
                ("h", h), ("y", y), ("y without branch", plain), ("dA", da), ("dB", db), ("dx", dx), ("dx added", sum), ("dW", dw), ("loss", loss),
                ("dx of the loss", lossDx),
            }.Select(result => (result.Name, result.Tensor.ToArray<float>())),
        ];

        Tensor Output(Shape shape) => Tensor.Empty(shape, device.FloatType, device);
    }

    private static Tensor Values(Shape shape, ulong seed, Device device)
    {
        var values = new float[shape.ElementCount];
        new Generator(seed).FillUniform(values, -1, 1);
        return Tensor.From(values, shape, device);
    }
}
