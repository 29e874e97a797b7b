using System.Runtime.CompilerServices;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests;

/// <summary>The leak check must be able to fail.</summary>
public class NoLeaksTests
{
    [Fact]
    public void A_live_tensor_is_named()
    {
        // A device of its own, so that this test's own check stays clean.
        using var device = new ReferenceDevice();
        using Tensor older = Tensor.Zeros([1], DType.Float64, device, "older");
        HashSet<long> before = NoLeaksAttribute.Ids(device);
        Assert.Empty(NoLeaksAttribute.Forgotten(device, before));
        using Tensor forgotten = Tensor.Zeros([2, 3], DType.Float64, device, "forgotten");
        Assert.Contains("forgotten [2, 3] float64", Assert.Single(NoLeaksAttribute.Forgotten(device, before)));
    }

    [Fact]
    public void A_tensor_that_the_garbage_collector_freed_is_named()
    {
        using var device = new ReferenceDevice();
        HashSet<long> before = NoLeaksAttribute.Ids(device);
        Forget(device);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.Contains("forgotten [4] float64", Assert.Single(NoLeaksAttribute.Forgotten(device, before)));
        Assert.Empty(NoLeaksAttribute.Forgotten(device, before));
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Every_device_carries_data_there_and_back(string name)
    {
        Device device = TestDevices.Get(name);
        Assert.Contains(device, TestDevices.Started);
        using Tensor tensor = Tensor.From([1.5f, -2], [2], device);
        Assert.Equal([1.5, -2], tensor.ToArray<double>());
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(Device device) => Tensor.Zeros([4], DType.Float64, device, "forgotten");
}
