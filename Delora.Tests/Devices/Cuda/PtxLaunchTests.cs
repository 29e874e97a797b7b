using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Delora.Core;
using Delora.Kernels;
using ILGPU;

namespace Delora.Tests.DeviceTests;

/// <summary>What reaches the driver when kernels and texts of one's own are launched on CUDA.</summary>
public sealed class PtxLaunchTests
{
    private const string Text = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry go(.param .u64 x, .param .u32 n) { ret; }\n";

    [Fact]
    public void AKernelOverIndicesGetsItsCountAndItsArgumentsAsItsTextDeclaresThem()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using Tensor x = Tensor.From([1f, 2f, 3f, 4f], [4], gpu);
        gpu.Launch(IndexKernel, 1000, gpu.View<float>(x).SubView(1, 2), new Pair { Small = 5, Large = 6 }, 7.5f);
        (string entry, PtxLaunch launch, byte[] parameters) = Assert.Single(driver.Launched);
        Assert.Equal("Kernel_IndexKernel", entry);
        Assert.Equal(new PtxLaunch(4, 1, 1, 256, 1, 1, 0), launch);
        Assert.Equal(44, parameters.Length);
        Assert.Equal(1000, MemoryMarshal.Read<int>(parameters));
        Assert.Equal(gpu.Address(x) + 4, (nint)MemoryMarshal.Read<long>(parameters.AsSpan(8)));
        Assert.Equal(2, MemoryMarshal.Read<long>(parameters.AsSpan(16)));
        Assert.Equal(5, parameters[24]);
        Assert.Equal(6, MemoryMarshal.Read<long>(parameters.AsSpan(32)));
        Assert.Equal(7.5f, MemoryMarshal.Read<float>(parameters.AsSpan(40)));
        string text = Assert.Single(driver.Loaded).Ptx;
        Assert.Contains(".version 8.3\n.target sm_90a\n", text);
        Assert.DoesNotContain(".uni", text);
    }

    /// <summary>ILGPU frees memory that nobody knows any more; a tensor's memory is known to its device.</summary>
    [Fact]
    public void TheMemoryOfAForgottenTensorIsThereForTheNext()
    {
        using GpuDevice gpu = GpuDevice.Interpreting(new FakePtxDriver(), "fake");
        for (int i = 0; i < 3; i++)
        {
            Forget(gpu);
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        using Tensor next = Tensor.Empty([2], DType.Float32, gpu);
        Assert.Equal(1, gpu.Memory.Statistics.SystemAllocations);
        Assert.NotEqual(0, gpu.Address(next));

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Forget(GpuDevice gpu) => _ = Tensor.Empty([2], DType.Float32, gpu);
    }

    [Fact]
    public void AKernelInGroupsGetsItsGroupsAndItsSharedMemory()
    {
        var driver = new FakePtxDriver { MaxThreads = 96, LocalBytes = 24 };
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using Tensor x = Tensor.From([1f], [1], gpu);
        var config = new KernelConfig(new Index3D(3, 2, 1), new Index3D(32, 3, 1), SharedMemoryConfig.RequestDynamic<float>(40_000));
        gpu.LaunchGroups(GroupKernel, config, gpu.View<float>(x));
        gpu.LaunchGroups(GroupKernel, config, gpu.View<float>(x));
        Assert.Single(driver.Loaded);
        Assert.Equal(2, driver.Launched.Count);
        Assert.Equal(new PtxLaunch(3, 2, 1, 32, 3, 1, 160_000), driver.Launched[0].Launch);
        gpu.Launch(IndexKernel, 100, gpu.View<float>(x), default(Pair), 0f);
        Assert.Equal(new PtxLaunch(2, 1, 1, 96, 1, 1, 0), driver.Launched[2].Launch);
        var error = Assert.Throws<DeviceException>(() => gpu.LaunchGroups(GroupKernel, new KernelConfig(1, 97), gpu.View<float>(x)));
        Assert.Contains("PtxLaunchTests.GroupKernel", error.Message);
        Assert.Contains("a group may have 96 threads", error.Message);
        Assert.Equal(
            ["PtxLaunchTests.GroupKernel: 24 bytes of local memory", "PtxLaunchTests.IndexKernel: 24 bytes of local memory"], gpu.SpillingKernels);
    }

    [Fact]
    public void ManyArgumentsAreWrittenInTheirOrder()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using Tensor x = Tensor.From([1f], [1], gpu);
        gpu.LaunchGroups(ManyKernel, new KernelConfig(1, 1), gpu.View<float>(x), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
        byte[] parameters = Assert.Single(driver.Launched).Parameters;
        Assert.Equal(Enumerable.Range(1, 11), MemoryMarshal.Cast<byte, int>(parameters.AsSpan(16)).ToArray());
    }

    [Fact]
    public void WhatIsRefusedNamesTheKernelAndTheLaunchAndTheDeviceGoesOn()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using Tensor x = Tensor.From([1f], [1], gpu);
        ArrayView<float> view = gpu.View<float>(x);
        var error = Assert.Throws<DeviceException>(() => gpu.Launch(IndexKernel, 1L << 40, view, default(Pair), 0f));
        Assert.Contains("PtxLaunchTests.IndexKernel did not start over 1099511627776 threads", error.Message);
        error = Assert.Throws<DeviceException>(() => gpu.Launch(NotAKernel, 2, view));
        Assert.Contains("PtxLaunchTests.NotAKernel does not compile", error.Message);
        error = Assert.Throws<DeviceException>(() => gpu.Launch(FlagKernel, 2, view, true));
        Assert.Contains("PtxLaunchTests.FlagKernel", error.Message);
        Assert.Contains("a kernel cannot take System.Boolean", error.Message);
        driver.Refusal = new DeviceException("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (701)");
        error = Assert.Throws<DeviceException>(() => gpu.LaunchGroups(GroupKernel, new KernelConfig(4, 32), view));
        Assert.Contains("PtxLaunchTests.GroupKernel did not start over 4 groups of 32 threads", error.Message);
        Assert.Contains("LAUNCH_OUT_OF_RESOURCES", error.Message);
        driver.Refusal = null;
        gpu.LaunchGroups(GroupKernel, new KernelConfig(4, 32), view);
        Assert.Single(driver.Launched);
    }

    [Fact]
    public void ATextOfOnesOwnIsLoadedOnceAndItsParametersAreChecked()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using Tensor x = Tensor.From([1f], [1], gpu);
        PtxKernel kernel = gpu.LoadPtx("go", _ => Text), again = gpu.LoadPtx("go", _ => throw new InvalidOperationException());
        Assert.Same(kernel, again);
        var launch = new PtxLaunch(1, 1, 1, 128, 1, 1, 0);
        gpu.LaunchPtx(kernel, launch, (gpu.Address(x), 9));
        Assert.Equal(12, Assert.Single(driver.Launched).Parameters.Length);
        var error = Assert.Throws<DeviceException>(() => gpu.LaunchPtx(kernel, launch, (gpu.Address(x), 9L)));
        Assert.Contains("go did not start over 1 × 1 × 1 groups of 128 × 1 × 1 threads", error.Message);
        Assert.Contains("takes parameters of 8 (aligned to 8), 4 (aligned to 4) bytes", error.Message);
        Assert.Throws<DeviceException>(() => gpu.LaunchPtx(kernel, launch, ValueTuple.Create(gpu.Address(x))));
        error = Assert.Throws<DeviceException>(() => gpu.LoadPtx("bad", _ => Text + "not ptx"));
        Assert.Contains("refuses the kernel bad", error.Message);
        Assert.Contains("INVALID_PTX", error.Message);
        Assert.Throws<DeviceException>(() => ((GpuDevice)TestDevices.Get("simulator")).LoadPtx("go", _ => Text));
        Assert.Equal(["go"], gpu.LoadedKernels.Select(loaded => loaded.Name));
    }

    [Fact]
    public void CopiesAndFillsGoThroughTheDriverAndTheDeviceTakesItWithIt()
    {
        var driver = new FakePtxDriver();
        GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        Tensor x = Tensor.From([1f, 2f, 3f], [3], gpu);
        using (Tensor y = Tensor.Zeros([3], DType.Float32, gpu))
        {
            y.CopyFrom(x);
            Assert.Equal([1f, 2f, 3f], y.ToArray<float>());
        }
        Assert.Equal(DeviceKind.Cuda, gpu.Kind);
        Assert.Equal(1024, gpu.MaxThreadsPerGroup);
        Assert.Equal(227 << 10, gpu.MaxSharedBytesPerGroup);
        Assert.True(gpu.HasFloat64);
        gpu.Dispose();
        Assert.True(driver.IsDisposed);
        Assert.Throws<ObjectDisposedException>(() => ReluKernel.Forward(x, x));
        x.Dispose();
    }

    [Fact]
    public void ALaunchOverNoGroupsDoesNotReachTheDriver()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        PtxKernel kernel = gpu.LoadPtx("go", _ => Text);
        foreach (PtxLaunch launch in (PtxLaunch[])[new(0, 1, 1, 32, 1, 1, 0), new(1, 0, 1, 32, 1, 1, 0), new(1, 1, 0, 32, 1, 1, 0)])
            gpu.LaunchPtx(kernel, launch, ((nint)0, 1));
        Assert.Empty(driver.Launched);
    }

    [Fact]
    public void AFaultIsToldWithTheLastKernelByWhoeverWaitsAndHiddenByNoDispose()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using Tensor x = Tensor.From([1f], [1], gpu);
        using var pool = new BlockPool(gpu.Memory);
        var graph = new GpuGraph(gpu, pool, null);
        graph.Rehearse(x.FillZero);
        Assert.True(graph.TryRecord(x.FillZero), graph.Obstacle);
        gpu.LaunchPtx(gpu.LoadPtx("go", _ => Text), new PtxLaunch(1, 1, 1, 32, 1, 1, 0), ((nint)0, 1));
        var taken = new Readback(x);
        var forgotten = new Readback(x);
        driver.Fault = new DeviceException("CUDA_ERROR_ILLEGAL_ADDRESS (700)");
        foreach (Action waits in (Action[])[() => _ = taken.HasArrived, () => _ = taken.Values, () => graph.TryReplay(), gpu.Synchronize])
        {
            var error = Assert.Throws<DeviceException>(waits);
            Assert.StartsWith("fake: ", error.Message);
            Assert.Contains("ILLEGAL_ADDRESS", error.Message);
            Assert.EndsWith("the last kernel that was launched is go", error.Message);
        }
        taken.Dispose();
        forgotten.Dispose();
        graph.Dispose();
        driver.Fault = null;
    }

    private static void IndexKernel(Index1D i, ArrayView<float> y, Pair pair, float value) => y[i] = value + pair.Large + pair.Small;

    private static void GroupKernel(ArrayView<float> y) => y[Group.IdxX] = 7;

    private static void FlagKernel(Index1D i, ArrayView<float> y, bool flag) => y[i] = flag ? 1 : 0;

    private static void ManyKernel(
        ArrayView<float> y, int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k) => y[0] = a + b + c + d + e + f + g + h + i + j + k;

    private static void NotAKernel(Index1D i, ArrayView<float> y)
    {
        Span<float> values = stackalloc float[2];
        values[i] = 1;
        y[i] = values[0];
    }

    private struct Pair
    {
        internal byte Small;
        internal long Large;
    }
}
