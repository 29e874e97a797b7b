using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.DeviceTests;

public sealed class DevicesTests
{
    private static readonly DeviceInfo s_cpu = new("cpu", DeviceKind.Cpu, "CPU", 1L << 30);
    private static readonly DeviceInfo s_card = new("cuda:0", DeviceKind.Cuda, "Card", 1L << 33);
    private static readonly DeviceInfo s_gpu = new("opencl:1", DeviceKind.OpenCL, "GPU", 1L << 32);
    private static readonly DeviceInfo s_pocl = new("opencl:0", DeviceKind.OpenCL, "PoCL", 1L << 30, Remark: "a driver for the processor");
    private static readonly DeviceInfo s_old = new("opencl:0", DeviceKind.OpenCL, "Old", 1L << 30, Obstacle: "no generic address space");

    [Fact]
    public void ThisMachineHasItsOwnKindsOfDevices()
    {
        string[] selectors = [.. Devices.All.Select(info => info.Selector)];
        Assert.Equal(selectors.Length, selectors.Distinct().Count());
        foreach (string own in new[] { "cpu", "reference", "simulator" })
        {
            DeviceInfo info = Assert.Single(Devices.All, info => info.Selector == own);
            Assert.True(info.IsUsable);
            Assert.True(info.MemoryBytes is > 0 and < long.MaxValue / 2);
        }
    }

    [Theory]
    [InlineData("cpu", typeof(CpuDevice)), InlineData(" CPU ", typeof(CpuDevice))]
    [InlineData("reference", typeof(ReferenceDevice)), InlineData("simulator", typeof(GpuDevice))]
    public void ANamedDeviceIsStartedOnce(string name, Type type)
    {
        Device first = Devices.Get(name);
        Assert.IsType(type, first);
        Assert.Same(first, Devices.Get(name));
        Assert.Equal(Devices.All.Single(info => info.Selector == name.Trim().ToLowerInvariant()).Name, first.Name);
    }

    [Fact]
    public void ADisposedDeviceIsStartedAnew()
    {
        Device first = Devices.Get("simulator");
        first.Dispose();
        using Device second = Devices.Get("simulator");
        Assert.NotSame(first, second);
        using Tensor t = Tensor.From([1f, 2f], [2], second);
        Assert.Equal([1f, 2f], t.ToArray<float>());
    }

    [Fact]
    public void ThreadsThatAskAtOnceGetTheSameDevice()
    {
        var found = new Device[8];
        Parallel.For(0, found.Length, i => found[i] = Devices.Get("cpu"));
        Assert.All(found, device => Assert.Same(found[0], device));
    }

    [Fact]
    public void ACudaCardComesFirst()
    {
        DeviceChoice choice = Devices.Best([s_pocl, s_gpu, s_cpu, s_card], None);
        Assert.Same(s_card, choice.Info);
        Assert.Contains("CUDA", choice.Reason);
    }

    [Fact]
    public void AnOpenClGpuComesBeforeTheCpu()
    {
        DeviceChoice choice = Devices.Best([s_pocl, s_gpu, s_cpu], None);
        Assert.Same(s_gpu, choice.Info);
        Assert.Contains("no driver for Cuda", choice.Reason);
    }

    [Fact]
    public void AnOpenClDriverForTheProcessorIsNeverChosen()
    {
        DeviceChoice choice = Devices.Best([s_pocl, s_cpu], None);
        Assert.Same(s_cpu, choice.Info);
        Assert.Contains("a driver for the processor", choice.Reason);
        Assert.Same(s_pocl, Devices.Find("opencl", [s_pocl, s_cpu], None));
    }

    [Fact]
    public void AnUnusableDeviceIsPassedOverWithItsReason()
    {
        DeviceChoice choice = Devices.Best([s_old, s_cpu], None);
        Assert.Same(s_cpu, choice.Info);
        Assert.Contains("no generic address space", choice.Reason);
        var error = Assert.Throws<DeviceException>(() => Devices.Find("opencl:0", [s_old, s_cpu], None));
        Assert.Contains("no generic address space", error.Message);
    }

    [Theory]
    [InlineData("cuda"), InlineData("cuda:0"), InlineData("opencl:7"), InlineData("cuda:x"), InlineData("gpu"), InlineData(""), InlineData("cuda:01")]
    public void ARefusalListsTheDevices(string name)
    {
        var error = Assert.Throws<DeviceException>(() => Devices.Find(name, [s_pocl, s_cpu], None));
        Assert.Contains($"'{name}'", error.Message);
        Assert.Contains("opencl:0: PoCL", error.Message);
        Assert.Contains("cpu: CPU", error.Message);
        if (name == "cuda") Assert.Contains("no driver for Cuda", error.Message);
    }

    [Theory]
    [InlineData("cuda", DeviceKind.Cuda), InlineData("opencl", DeviceKind.OpenCL)]
    public void KernelsAreTestedOnRealDrivers(string name, DeviceKind kind)
    {
        DeviceInfo? first = Devices.All.FirstOrDefault(info => info.Selector == name + ":0");
        if (first is null) Assert.Skip(DeviceProbe.WhyNone(kind));
        if (!first.IsUsable) Assert.Skip($"{first}");
        Assert.Contains(TestDevices.Names, row => row.Data == name);
        Assert.Equal(kind, Assert.IsType<GpuDevice>(TestDevices.Get(name)).Kind);
    }

    [Fact]
    public void AutoIsTheBestDevice()
    {
        DeviceChoice best = Devices.Best();
        Assert.True(best.Info.IsUsable);
        Assert.NotEmpty(best.Reason);
        Assert.Same(best.Device, Devices.Get("auto"));
    }

    private static string None(DeviceKind kind) => $"no driver for {kind}";
}
