using System.Runtime.InteropServices;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.DeviceTests;

/// <summary>Work that is recorded and replayed: what changes from one replay to the next, what is refused, whose memory it is.</summary>
public sealed class GpuGraphTests
{
    [Fact]
    public void AReplayComputesFromWhatItsTensorsHoldThen()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using var pool = new BlockPool(gpu.Memory);
        using Tensor x = Tensor.From([1f, 2f], [2], gpu), y = Tensor.Zeros([2], DType.Float32, gpu);
        using var graph = new GpuGraph(gpu, pool, null);
        Renting(pool, () => graph.Rehearse(Work));
        Assert.True(Recorded(pool, graph, Work), graph.Obstacle);
        y.FillZero();
        Assert.Equal([0f, 0f], y.ToArray<float>());
        x.CopyFrom<float>([3f, 4f]);
        Assert.True(graph.TryReplay());
        Assert.Equal([3f, 4f], y.ToArray<float>());
        x.CopyFrom<float>([5f, 6f]);
        Assert.True(graph.TryReplay());
        Assert.Equal([5f, 6f], y.ToArray<float>());

        void Work()
        {
            using Tensor between = Tensor.Empty([2], DType.Float32, gpu);
            between.CopyFrom(x);
            y.CopyFrom(between);
        }
    }

    [Fact]
    public void ConstantsAreUploadedWithTheGraphAndWhatDependsOnTheBatchIsRefused()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using var pool = new BlockPool(gpu.Memory);
        using Tensor y = Tensor.Zeros([2], DType.Float32, gpu);
        float[] values = [1f, 2f];
        using var graph = new GpuGraph(gpu, pool, null);
        Renting(pool, () => graph.Rehearse(Work));
        Assert.True(Recorded(pool, graph, Work), graph.Obstacle);
        y.FillZero();
        Assert.True(graph.TryReplay());
        Assert.Equal([1f, 2f], y.ToArray<float>());

        using var other = new GpuGraph(gpu, pool, null);
        Renting(pool, () => other.Rehearse(Work));
        values[1] = 3f;
        Assert.False(Recorded(pool, other, Work));
        Assert.Contains("depends on the batch", other.Obstacle);
        // The device goes on, and the graph that there was still runs.
        Renting(pool, Work);
        Assert.Equal([1f, 3f], y.ToArray<float>());
        Assert.True(graph.TryReplay());
        Assert.Equal([1f, 2f], y.ToArray<float>());

        void Work()
        {
            using Tensor constant = Tensor.From(values, [2], gpu);
            y.CopyFrom(constant);
        }
    }

    [Fact]
    public void DerivedIntegersFollowTheBatchAndAReplayIsRefusedWhereTheirNumberDiffers()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using var pool = new BlockPool(gpu.Memory);
        using Tensor labels = Tensor.FromIndices([4, -100, 5], [3], gpu), kept = Tensor.Zeros([2], DType.Int32, gpu);
        using var graph = new GpuGraph(gpu, pool, null);
        Renting(pool, () => graph.Rehearse(Work));
        Assert.True(Recorded(pool, graph, Work), graph.Obstacle);
        labels.SetIndices([-100, 7, 8]);
        Assert.True(graph.TryReplay());
        Assert.Equal([7, 8], kept.ToArray<int>());
        labels.SetIndices([6, 7, 8]);
        Assert.False(graph.TryReplay());
        labels.SetIndices([-100, 7, 10]);
        Assert.False(graph.TryReplay());
        Assert.Equal([7, 8], kept.ToArray<int>());
        labels.SetIndices([9, -100, 1]);
        Assert.True(graph.TryReplay());
        Assert.Equal([9, 1], kept.ToArray<int>());

        void Work()
        {
            int count = IndexCheck.Count("test", labels, 10, -100);
            using Tensor derived = GpuGraph.Derived(() => [.. labels.Known.ToArray().Where(label => label >= 0)], [count], gpu, "derived");
            Assert.Equal(count, IndexCheck.Count("test", derived, 10));
            kept.CopyFrom(derived);
        }
    }

    [Fact]
    public void WorkThatWaitsOrNeedsNewMemoryIsRefusedAndTheDeviceGoesOn()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using var pool = new BlockPool(gpu.Memory);
        using Tensor x = Tensor.From([1f, 2f], [2], gpu);
        using var waiting = new GpuGraph(gpu, pool, null);
        Renting(pool, () => waiting.Rehearse(() => x.ToArray<float>()));
        Assert.False(Recorded(pool, waiting, () => x.ToArray<float>()));
        Assert.Contains("reads from the device", waiting.Obstacle);

        // Only the recording waits.
        using var surprised = new GpuGraph(gpu, pool, null);
        Renting(pool, () => surprised.Rehearse(x.FillZero));
        Assert.False(Recorded(pool, surprised, gpu.Synchronize));
        Assert.Contains("waits for the device", surprised.Obstacle);

        using var hungry = new GpuGraph(gpu, pool, null);
        Renting(pool, () => hungry.Rehearse(x.FillZero));
        Assert.False(Recorded(pool, hungry, () => Tensor.Empty([1 << 16], DType.Float32, gpu).Dispose()));
        Assert.Contains("more memory", hungry.Obstacle);

        using var failing = new GpuGraph(gpu, pool, null);
        Renting(pool, () => failing.Rehearse(x.FillZero));
        Assert.False(Recorded(pool, failing, () => throw new InvalidOperationException("no")));
        Assert.Equal("no", failing.Obstacle);
        x.CopyFrom<float>([3f, 4f]);
        Assert.Equal([3f, 4f], x.ToArray<float>());
    }

    [Fact]
    public void EachReplayTakesItsOwnPieceOfTheRandomSequence()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using var pool = new BlockPool(gpu.Memory);
        using Tensor x = Tensor.From([1f, 2f], [2], gpu);
        var generator = new Generator(7);
        generator.Reserve(5);
        using var graph = new GpuGraph(gpu, pool, generator);
        Renting(pool, () => graph.Rehearse(Work));
        Assert.Equal(8ul, generator.State.Offset);
        Assert.True(Recorded(pool, graph, Work), graph.Obstacle);
        Assert.Equal(8ul, generator.State.Offset);
        driver.Launched.Clear();
        Assert.True(graph.TryReplay());
        Assert.Equal(11ul, generator.State.Offset);
        Assert.Equal(8ul + 1, Offset(Assert.Single(driver.Launched).Parameters));
        generator.Reserve(100);
        Assert.True(graph.TryReplay());
        Assert.Equal(114ul, generator.State.Offset);
        Assert.Equal(111ul + 1, Offset(driver.Launched[1].Parameters));

        using var other = new GpuGraph(gpu, pool, new Generator(8));
        Renting(pool, () => other.Rehearse(Work));
        Assert.False(Recorded(pool, other, Work));
        Assert.Contains("another generator", other.Obstacle);
        Assert.Equal(117ul + 3, generator.State.Offset);

        void Work()
        {
            generator.Reserve(1);
            DropoutKernel.Forward(x, new DropoutMask(0.5f, generator.Reserve(2)), x);
        }
    }

    [Fact]
    public void MemoryOfARecordingIsNotGivenToOthersAndATensorThatIsGoneMakesItStale()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using Tensor y = Tensor.Zeros([1000], DType.Float32, gpu);
        using (var pool = new BlockPool(gpu.Memory))
        {
            Tensor x = Tensor.From(new float[1000], [1000], gpu);
            using var graph = new GpuGraph(gpu, pool, null);
            Renting(pool, () => graph.Rehearse(Work));
            Assert.True(Recorded(pool, graph, Work), graph.Obstacle);
            // What another tensor of the same size holds, the replay leaves alone.
            using Tensor other = Tensor.From(Enumerable.Repeat(9f, 1000).ToArray(), [1000], gpu);
            Assert.True(graph.TryReplay());
            Assert.All(other.ToArray<float>(), value => Assert.Equal(9f, value));
            nint address = gpu.Address(x);
            x.Dispose();
            Assert.True(graph.IsStale);
            Assert.False(graph.TryReplay());
            using Tensor next = Tensor.Empty([1000], DType.Float32, gpu);
            Assert.NotEqual(address, gpu.Address(next));
            graph.Dispose();
            using Tensor last = Tensor.Empty([1000], DType.Float32, gpu);
            Assert.Equal(address, gpu.Address(last));

            void Work()
            {
                using Tensor between = Tensor.Empty([1000], DType.Float32, gpu);
                between.CopyFrom(x);
                y.CopyFrom(between);
            }
        }
        long asked = gpu.Memory.Statistics.SystemAllocations;
        using Tensor again = Tensor.Empty([1000], DType.Float32, gpu);
        Assert.Equal(asked, gpu.Memory.Statistics.SystemAllocations);
    }

    [Fact]
    public void WhatIsKeptBeyondASessionIsCountedAndNoLongerThePools()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using var pool = new BlockPool(gpu.Memory);
        BlockPool.Session session = pool.Enter();
        Tensor kept = Tensor.Empty([1000], DType.Float32, gpu);
        Tensor.Empty([1000], DType.Float32, gpu).Dispose();
        Assert.Equal(1, session.End());
        nint address = gpu.Address(kept);
        kept.Dispose();
        using Tensor next = Tensor.Empty([1000], DType.Float32, gpu);
        Assert.Equal(address, gpu.Address(next));
        using Tensor further = Tensor.Empty([1000], DType.Float32, gpu);
        Assert.Equal(3, gpu.Memory.Statistics.SystemAllocations);
    }

    [Fact]
    public void NumbersThatComeBackLaterAreThoseOfTheirTime()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        using Tensor x = Tensor.From([1f, 2f], [2], gpu);
        using var first = new Readback(x);
        x.FillZero();
        using var second = new Readback(x);
        Assert.True(first.HasArrived);
        Assert.Equal([1.0, 2.0], first.Values);
        Assert.Equal([0.0, 0.0], second.Values);
        Assert.Equal([1.0, 2.0], first.Values);
        using var third = new Readback(x);
        using Tensor large = Tensor.Zeros([257], DType.Float32, gpu), ids = Tensor.From([1], [1], gpu);
        Assert.Throws<ShapeException>(() => new Readback(large));
        Assert.Throws<DTypeException>(() => new Readback(ids));
        using Tensor host = Tensor.From([3.5], [1], Devices.Cpu);
        using var immediate = new Readback(host);
        host.FillZero();
        Assert.Equal([3.5], immediate.Values);
    }

    private static bool Recorded(BlockPool pool, GpuGraph graph, Action work)
    {
        bool recorded = false;
        Renting(pool, () => recorded = graph.TryRecord(work));
        return recorded;
    }

    private static void Renting(BlockPool pool, Action work)
    {
        using BlockPool.Session session = pool.Enter();
        work();
    }

    /// <summary>The offset of the mask of GpuDropout's kernel: count, two views, the mask and its start.</summary>
    private static unsafe ulong Offset(byte[] parameters)
    {
        const int Mask = 8 + 16 + 16;
        ulong relative = MemoryMarshal.Read<ulong>(parameters.AsSpan(Mask + 16));
        return relative + *(ulong*)MemoryMarshal.Read<nint>(parameters.AsSpan(Mask + 24));
    }
}
