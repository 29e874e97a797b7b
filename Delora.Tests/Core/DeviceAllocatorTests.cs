using System.Runtime.CompilerServices;
using CsCheck;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Core;

public class DeviceAllocatorTests
{
    private static Tensor Bytes(int count, Device device, string name = "bytes") => Tensor.Empty([count], DType.UInt8, device, name);

    [Theory]
    [InlineData(0, 256)]
    [InlineData(1, 256)]
    [InlineData(256, 256)]
    [InlineData(257, 320)]
    [InlineData(320, 320)]
    [InlineData(321, 384)]
    [InlineData(512, 512)]
    [InlineData(513, 640)]
    [InlineData(1L << 40, 1L << 40)]
    [InlineData((1L << 40) + 1, 5L << 38)]
    public void Size_classes(long bytes, long expected) => Assert.Equal(expected, DeviceAllocator.SizeClass(bytes));

    [Fact]
    public void A_size_class_holds_the_request_wastes_at_most_a_quarter_and_is_its_own_class() =>
        Gen.Long[257, long.MaxValue / 2].Sample(bytes =>
        {
            long size = DeviceAllocator.SizeClass(bytes);
            Assert.True(size >= bytes && size - bytes <= bytes / 4 + 1);
            if (size <= long.MaxValue / 2) Assert.Equal(size, DeviceAllocator.SizeClass(size));
        });

    [Fact]
    public void Requests_beyond_any_device()
    {
        Assert.Throws<DeviceMemoryException>(() => DeviceAllocator.SizeClass(long.MaxValue));
        Assert.Throws<ArgumentOutOfRangeException>(() => DeviceAllocator.SizeClass(-1));
        using var device = new LimitedDevice();
        var overflow = Assert.Throws<ShapeException>(() => Tensor.Empty([int.MaxValue, int.MaxValue, 2], DType.Float64, device, "w"));
        Assert.Contains("w: [2147483647, 2147483647, 2] of float64", overflow.Message);
        Assert.Equal(default, device.Memory.Statistics);
    }

    [Fact]
    public void Rounds_after_the_first_ask_the_system_for_nothing()
    {
        using var device = new LimitedDevice();
        AllocatorStatistics first = default;
        for (int round = 0; round < 5; round++)
        {
            using (var scope = new TensorScope())
                for (int size = 0; size < 5000; size += 37) Bytes(size, device);
            if (round == 0) first = device.Memory.Statistics;
        }
        Assert.Equal(first, device.Memory.Statistics);
        Assert.Equal((0L, 0L, device.BytesGiven), (first.BytesInUse, first.LiveAllocations, first.BytesCached));
        Assert.Equal(first.PeakBytesInUse, first.BytesCached);
        device.Memory.Trim();
        Assert.Equal((0L, 0L), (device.Memory.Statistics.BytesCached, device.BytesGiven));
    }

    [Fact]
    public void A_freed_block_serves_the_next_request_of_its_class()
    {
        using var device = new LimitedDevice();
        Tensor first = Bytes(300, device);
        MemoryBlock block = first.Block;
        first.Dispose();
        first.Dispose();
        using Tensor second = Bytes(310, device), third = Bytes(310, device);
        Assert.Same(block, second.Block);
        Assert.NotSame(block, third.Block);
        Assert.Equal(new AllocatorStatistics(640, 640, 0, 2, 2, 0, 640), device.Memory.Statistics);
    }

    [Fact]
    public void Peak_and_its_reset()
    {
        using var device = new LimitedDevice();
        using Tensor kept = Bytes(256, device);
        Bytes(1024, device).Dispose();
        Assert.Equal(1280, device.Memory.Statistics.PeakBytesInUse);
        device.Memory.ResetPeak();
        Assert.Equal(256, device.Memory.Statistics.PeakBytesInUse);
    }

    [Fact]
    public void Out_of_memory_is_typed_and_the_next_call_works()
    {
        using var device = new LimitedDevice(4096);
        using Tensor held = Bytes(2048, device);
        var error = Assert.Throws<DeviceMemoryException>(() => Tensor.Empty([1000], DType.Float32, device, "Attention.scores"));
        Assert.Equal((4000L, 2048L), (error.RequestedBytes, error.InUseBytes));
        Assert.Contains("limited has no 4000 bytes left for Attention.scores [1000]; 2048 bytes are in use by 1 tensors", error.Message);
        using Tensor smaller = Bytes(2048, device);
        Assert.Equal(2, device.Memory.Statistics.LiveAllocations);
    }

    [Fact]
    public void Cached_blocks_are_given_back_before_memory_is_refused()
    {
        using var device = new LimitedDevice(4096);
        Bytes(1024, device).Dispose();
        Bytes(2048, device).Dispose();
        using Tensor large = Bytes(4096, device);
        Assert.Equal(new AllocatorStatistics(4096, 4096, 0, 1, 3, 0, 4096), device.Memory.Statistics);
    }

    [Fact]
    public void Live_allocations_are_listed_with_their_names()
    {
        using var device = new LimitedDevice();
        using Tensor y = Tensor.Empty([512, 3], DType.Float32, device, "LowRankLinear.y");
        using Tensor view = y.View([3]);
        Assert.Equal("#1 LowRankLinear.y [512, 3] float32, 6144 bytes", Assert.Single(device.Memory.LiveAllocations()).ToString());
    }

    [Fact]
    public void A_forgotten_tensor_is_freed_counted_and_named()
    {
        using var device = new LimitedDevice();
        AllocationRecord? leaked = null;
        device.Memory.Leaked += record => leaked = record;
        Forget(device);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.Equal(("forgotten", new Shape(3, 5), DType.Float32), (leaked?.Name, leaked!.Shape, leaked.DType));
        Assert.Equal(new AllocatorStatistics(0, 256, 256, 0, 1, 1, 256), device.Memory.Statistics);
    }

    [Fact]
    public void A_view_keeps_the_memory_of_its_tensor()
    {
        using var device = new LimitedDevice();
        Tensor tensor = Tensor.From([1f, 2, 3, 4], [4], device);
        Tensor view = tensor.View([2], 2);
        tensor.Dispose();
        Assert.Equal([3f, 4], view.ToArray<float>());
        Assert.Equal(1, device.Memory.Statistics.LiveAllocations);
        view.Dispose();
        Assert.Equal(0, device.Memory.Statistics.LiveAllocations);
    }

    [Fact]
    public void New_memory_is_poisoned_where_that_is_asked()
    {
        using var device = new LimitedDevice();
        device.Memory.PoisonNewAllocations = true;
        Tensor.Zeros([100], DType.Float32, device).Dispose();
        using Tensor again = Tensor.Empty([100], DType.Float32, device), ids = Tensor.Empty([3], DType.Int32, device);
        Assert.All(again.ToArray<float>(), value => Assert.True(float.IsNaN(value)));
        Assert.Equal([-1, -1, -1], ids.ToArray<int>());
    }

    [Fact]
    public void A_tensor_that_outlives_its_device_frees_its_own_memory()
    {
        var device = new LimitedDevice();
        Tensor cached = Bytes(256, device), late = Bytes(256, device);
        cached.Dispose();
        device.Dispose();
        Assert.Equal(256, device.BytesGiven);
        late.Dispose();
        Assert.Equal(0, device.BytesGiven);
        Assert.Throws<ObjectDisposedException>(() => Bytes(1, device));
    }

    [Fact]
    public void A_block_that_cannot_be_poisoned_is_not_lost()
    {
        using var device = new LimitedDevice { FailsToFill = true };
        device.Memory.PoisonNewAllocations = true;
        Assert.Throws<DeviceException>(() => Bytes(256, device));
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.Equal(new AllocatorStatistics(0, 256, 256, 0, 1, 0, 256), device.Memory.Statistics);
        device.FailsToFill = false;
        using Tensor tensor = Bytes(256, device);
        Assert.Equal(1, device.Memory.Statistics.SystemAllocations);
    }

    [Fact]
    public void A_device_that_fails_is_released_all_the_same()
    {
        var device = new LimitedDevice { FailsToSynchronize = true };
        Assert.Throws<DeviceException>(device.Dispose);
        device.Dispose();
        Assert.Equal((true, 1), (device.IsDisposed, device.Releases));
    }

    [Fact]
    public void Nothing_stays_in_the_cache_of_a_device_that_is_disposed_meanwhile()
    {
        for (int round = 0; round < 50; round++)
        {
            var device = new LimitedDevice();
            Tensor[] tensors = [.. Enumerable.Range(0, 200).Select(_ => Bytes(256, device))];
            var disposer = new Thread(device.Dispose);
            disposer.Start();
            foreach (Tensor tensor in tensors) tensor.Dispose();
            disposer.Join();
            Assert.Equal((0L, 0L, 0L), (device.BytesGiven, device.Memory.Statistics.BytesCached, device.Memory.Statistics.LiveAllocations));
        }
    }

    [Fact]
    public void Kernels_refuse_a_device_that_was_disposed()
    {
        var device = new CpuDevice(2);
        using Tensor x = Tensor.From([1f, -1f], [2], device), y = Tensor.Empty([2], DType.Float32, device);
        using Tensor matrix = Tensor.Zeros([1, 2], DType.Float32, device), result = Tensor.Empty([1, 1], DType.Float32, device);
        device.Dispose();
        Assert.Throws<ObjectDisposedException>(() => ReluKernel.Forward(x, y));
        Assert.Throws<ObjectDisposedException>(() => MatMulKernel.Forward(matrix, matrix, result, MatMulLayout.NT));
    }

    [Fact]
    public void Many_threads_share_an_allocator()
    {
        using var device = new LimitedDevice();
        Parallel.For(0, 64, new ParallelOptions { MaxDegreeOfParallelism = 4 }, seed =>
        {
            for (int i = 0; i < 200; i++)
            {
                using Tensor tensor = Tensor.Zeros([(seed * 31 + i) % 400], DType.Int32, device);
                tensor.CopyFrom<int>(Enumerable.Repeat(seed, (int)tensor.ElementCount).ToArray());
                Assert.All(tensor.ToArray<int>(), value => Assert.Equal(seed, value));
            }
        });
        AllocatorStatistics after = device.Memory.Statistics;
        Assert.Equal((0L, 0L, 0L), (after.BytesInUse, after.LiveAllocations, after.LeakedAllocations));
        Assert.True(after.SystemAllocations <= 4 * 9, "more blocks than threads and size classes");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(Device device) => Tensor.Empty([3, 5], DType.Float32, device, "forgotten");
}
