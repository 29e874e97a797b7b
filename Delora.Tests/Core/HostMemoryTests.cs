using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Core;

/// <summary>What is left of the host's memory, and blocks that have none.</summary>
public sealed class HostMemoryTests
{
    [Fact]
    public void There_is_something_left_and_less_than_the_machine_has()
    {
        long total = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        Assert.InRange(HostMemory.AvailableBytes, 1, Math.Max(total, 1));
        using var cpu = new CpuDevice(1);
        Assert.True(cpu.AvailableMemoryBytes > 0);
    }

    [Fact]
    public void A_control_group_leaves_its_limit_less_what_it_uses_without_idle_files()
    {
        using TemporaryFolder folder = new();
        folder.Write("memory.max", "1000000\n");
        folder.Write("memory.current", "700000\n");
        Assert.Equal(300_000, HostMemory.Left(folder.Path, "memory.max", "memory.current", "inactive_file"));
        folder.Write("memory.stat", "anon 500000\nactive_file 1\ninactive_file 200000\n");
        Assert.Equal(500_000, HostMemory.Left(folder.Path, "memory.max", "memory.current", "inactive_file"));
        folder.Write("memory.max", "max\n");
        Assert.Equal(long.MaxValue, HostMemory.Left(folder.Path, "memory.max", "memory.current", "inactive_file"));
        Assert.Equal(long.MaxValue, HostMemory.Left(folder.File("absent"), "memory.max", "memory.current", "inactive_file"));
    }

    [Theory, InlineData(300), InlineData(1 << 20), InlineData(1L << 36)]
    public unsafe void A_reserved_block_reads_as_zeros_and_forgets(long bytes)
    {
        HostMemoryBlock block = HostMemoryBlock.Reserve(bytes);
        byte[] read = [1, 2, 3];
        block.Read(bytes - 3, read);
        Assert.Equal([0, 0, 0], read);
        block.Write(bytes - 3, [4, 5, 6]);
        block.Read(bytes - 3, read);
        Assert.Equal([4, 5, 6], read);
        block.Renew();
        block.Read(bytes - 3, read);
        Assert.Equal([0, 0, 0], read);
        block.Free();
        Assert.True(block.Pointer is null);
    }

    [Fact]
    public void A_planning_device_counts_and_computes_nothing()
    {
        using var cpu = new CpuDevice(2);
        using Device twin = Devices.Planning(cpu);
        Assert.True(twin.IsPlanning && !cpu.IsPlanning);
        Assert.Equal((cpu.Name, cpu.FloatType), (twin.Name, twin.FloatType));
        using (Tensor huge = Tensor.Zeros([1 << 20, 1 << 14], DType.Float32, twin), again = Tensor.Empty([1 << 20, 1 << 14], DType.Float32, twin))
        {
            ReluKernel.Forward(huge, again);
            Assert.Equal(1L << 37, twin.Memory.Statistics.BytesInUse);
            using Tensor other = huge.View([1 << 10]);
            Assert.Throws<ShapeException>(() => ReluKernel.Forward(huge, other));
        }
        using Tensor ids = Tensor.From([3, 1, 4], [3], twin);
        Assert.Equal([3, 1, 4], ids.ToArray<int>());
        // Also after a copy on the device: kernels look at ids.
        using Tensor copied = Tensor.CopyOf(ids, twin);
        Assert.Equal([3, 1, 4], copied.ToArray<int>());
        Assert.Equal((1L << 37, 1L << 37), (twin.Memory.Statistics.PeakBytesInUse, twin.Memory.Statistics.BytesCached));
    }
}
