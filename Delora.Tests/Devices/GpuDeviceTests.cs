using Delora.Core;
using Delora.Kernels;
using ILGPU;

namespace Delora.Tests.DeviceTests;

/// <summary>What a GPU device says when something goes wrong, and that it goes on afterwards.</summary>
public sealed class GpuDeviceTests
{
    public static TheoryData<string> Gpus => TestDevices.GpuNames;

    [Theory, MemberData(nameof(Gpus))]
    public void NewMemoryIsPoisonedInTests(string name)
    {
        using Tensor tensor = Tensor.Empty([33], DType.Float32, TestDevices.Get(name));
        Assert.All(tensor.ToArray<float>(), value => Assert.True(float.IsNaN(value)));
    }

    [Theory, MemberData(nameof(Gpus))]
    public void MemoryThatIsNotThereIsATypedErrorAndTheNextCallWorks(string name)
    {
        Device device = TestDevices.Get(name);
        var error = Assert.Throws<DeviceMemoryException>(() => Tensor.Empty([1 << 30, 1 << 20], DType.Float32, device));
        Assert.Equal(1L << 52, error.RequestedBytes);
        using Tensor tensor = Tensor.From([1f, 2f], [2], device);
        Assert.Equal([1f, 2f], tensor.ToArray<float>());
    }

    [Fact]
    public void AKernelThatDoesNotCompileIsNamedAndSoIsWhatItSpoils()
    {
        using GpuDevice gpu = Devices.CreateSimulator();
        using Tensor x = Tensor.From([1f, -1f], [2], gpu);
        using Tensor y = Tensor.Empty([2], DType.Float32, gpu);
        ReluKernel.Forward(x, y);
        var error = Assert.Throws<DeviceException>(() => gpu.Launch(NotAKernel, 2, gpu.View<float>(y)));
        Assert.Contains("GpuDeviceTests.NotAKernel does not compile", error.Message);
        // The same call again, then another kernel: neither reaches ILGPU, which would throw NullReferenceException.
        Assert.Throws<DeviceException>(() => gpu.Launch(NotAKernel, 2, gpu.View<float>(y)));
        error = Assert.Throws<DeviceException>(() => gpu.Launch(GoodKernel, 2, gpu.View<float>(y)));
        Assert.Contains("GpuDeviceTests.GoodKernel", error.Message);
        Assert.Contains("NotAKernel failed to compile", error.Message);
        // What was compiled before still runs.
        ReluKernel.Forward(x, y);
        Assert.Equal([1f, 0f], y.ToArray<float>());
    }

    [Fact]
    public void ALaunchThatCannotBeIsNamed()
    {
        var gpu = (GpuDevice)TestDevices.Get("simulator");
        using Tensor y = Tensor.Empty([2], DType.Float32, gpu);
        ArrayView<float> view = gpu.View<float>(y);
        var error = Assert.Throws<DeviceException>(() => gpu.Launch(GoodKernel, 1L << 40, view));
        Assert.Contains("GpuDeviceTests.GoodKernel", error.Message);
        Assert.Contains("1099511627776 threads", error.Message);
        error = Assert.Throws<DeviceException>(() => gpu.LaunchGroups(GroupKernel, new KernelConfig(1, 1 << 20), view));
        Assert.Contains("GpuDeviceTests.GroupKernel", error.Message);
        Assert.Contains("1048576 threads", error.Message);
        gpu.Launch(GoodKernel, 2, view);
        Assert.Equal([7f, 7f], y.ToArray<float>());
    }

    [Theory, MemberData(nameof(Gpus))]
    public void ALaunchOverNothingDoesNothing(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        using Tensor y = Tensor.From([1f, 2f], [2], gpu);
        gpu.Launch(GoodKernel, 0, gpu.View<float>(y));
        gpu.LaunchGroups(GroupKernel, new KernelConfig(0, 16), gpu.View<float>(y));
        Assert.Equal([1f, 2f], y.ToArray<float>());
    }

    [Fact]
    public void ATensorMayOutliveItsDevice()
    {
        GpuDevice gpu = Devices.CreateSimulator();
        Tensor tensor = Tensor.From([1f], [1], gpu);
        gpu.Dispose();
        // Its memory went with the device: an error, not a read of what is gone.
        Assert.Throws<ObjectDisposedException>(() => ReluKernel.Forward(tensor, tensor));
        Assert.Contains("disposed", Assert.Throws<DeviceException>(() => tensor.ToArray<float>()).Message);
        tensor.Dispose();
        Assert.Equal(0, gpu.Memory.Statistics.LiveAllocations);
    }

    [Theory, MemberData(nameof(Gpus))]
    public void OneDeviceServesManyThreads(string name)
    {
        Device device = TestDevices.Get(name);
        Parallel.For(0, 8, _ =>
        {
            for (int round = 1; round < 20; round++)
            {
                using Tensor x = Tensor.From([round, -1f], [2], device);
                using Tensor y = Tensor.Empty([2], DType.Float32, device);
                ReluKernel.Forward(x, y);
                Assert.Equal([round, 0f], y.ToArray<float>());
            }
        });
    }

    private static void NotAKernel(Index1D i, ArrayView<float> y)
    {
        Span<float> values = stackalloc float[2];
        values[i] = 1;
        y[i] = values[0];
    }

    private static void GoodKernel(Index1D i, ArrayView<float> y) => y[i] = 7;

    private static void GroupKernel(ArrayView<float> y) => y[Group.IdxX] = 7;
}
