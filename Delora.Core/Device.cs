namespace Delora.Core;

/// <summary>
/// Where tensors live and kernels run. This class gives memory and copies it; the kinds of devices and their arithmetic are in Delora.Kernels. One
/// device serves many threads.
/// </summary>
public abstract partial class Device : IDisposable
{
    private int _disposed;

    /// <summary>Sets the name and makes the allocator.</summary>
    /// <param name="name">What a person would call it.</param>
    /// <param name="planning">See <see cref="IsPlanning"/>.</param>
    protected Device(string name, bool planning = false)
    {
        Name = name;
        IsPlanning = planning;
        Memory = new DeviceAllocator(this);
    }

    /// <summary>What a person would call it, for instance <c>NVIDIA H200</c>.</summary>
    public string Name { get; }

    /// <summary>The floating-point type of this device's arithmetic: float32, or float64 on the reference device.</summary>
    public abstract DType FloatType { get; }

    /// <summary>Total memory in bytes that the device has.</summary>
    public abstract long MemoryBytes { get; }

    /// <summary>The caching allocator and its counters.</summary>
    public DeviceAllocator Memory { get; }

    /// <summary>Whether the device has been disposed.</summary>
    public bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    /// <summary>Waits until everything given to the device so far is done.</summary>
    public abstract void Synchronize();

    /// <summary>Asks the system or the driver for memory.</summary>
    /// <exception cref="OutOfMemoryException">There is none left (or <see cref="DeviceMemoryException"/>).</exception>
    protected internal abstract MemoryBlock AllocateBlock(long byteLength);

    /// <summary>Gives a block back to the system or the driver.</summary>
    protected internal abstract void FreeBlock(MemoryBlock block);

    /// <summary>Copies host bytes into a block. The source may be reused when the call returns.</summary>
    protected internal abstract void CopyFromHost(ReadOnlySpan<byte> source, MemoryBlock destination, long byteOffset);

    /// <summary>Copies bytes of a block to the host, after all work before it.</summary>
    protected internal abstract void CopyToHost(MemoryBlock source, long byteOffset, Span<byte> destination);

    /// <summary>Copies within the device, in the order of its other work.</summary>
    protected internal abstract void CopyWithin(MemoryBlock source, long sourceOffset, MemoryBlock destination, long destinationOffset, long byteLength);

    /// <summary>Sets bytes of a block, in the order of the device's other work.</summary>
    protected internal abstract void FillBytes(MemoryBlock block, long byteOffset, long byteLength, byte value);

    /// <summary>Frees the cached memory and the device. Tensors that are still alive free theirs when they are disposed.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        // Disposed from here on: what other threads give back now is freed at once, so that nothing is left in the cache.
        try
        {
            Memory.Trim();
        }
        finally
        {
            DisposeDevice();
        }
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases what the kind of device holds.</summary>
    protected abstract void DisposeDevice();

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>A device whose tensors lie in the process's own memory: the CPU and the reference device.</summary>
public abstract class HostDevice(string name, bool planning = false) : Device(name, planning)
{
    /// <inheritdoc/>
    public override long MemoryBytes => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <inheritdoc/>
    public override long AvailableMemoryBytes => HostMemory.AvailableBytes + Memory.Statistics.BytesCached;

    /// <inheritdoc/>
    public override void Synchronize()
    {
        // Kernels on the host have finished when their call returns.
    }

    /// <inheritdoc/>
    protected internal override MemoryBlock AllocateBlock(long byteLength) => HostMemoryBlock.Allocate(byteLength);

    /// <inheritdoc/>
    protected internal override void FreeBlock(MemoryBlock block) => ((HostMemoryBlock)block).Free();

    /// <inheritdoc/>
    protected internal override void CopyFromHost(ReadOnlySpan<byte> source, MemoryBlock destination, long byteOffset) =>
        ((HostMemoryBlock)destination).Write(byteOffset, source);

    /// <inheritdoc/>
    protected internal override void CopyToHost(MemoryBlock source, long byteOffset, Span<byte> destination) =>
        ((HostMemoryBlock)source).Read(byteOffset, destination);

    /// <inheritdoc/>
    protected internal override void CopyWithin(MemoryBlock source, long sourceOffset, MemoryBlock destination, long destinationOffset, long byteLength) =>
        ((HostMemoryBlock)source).CopyTo(sourceOffset, (HostMemoryBlock)destination, destinationOffset, byteLength);

    /// <inheritdoc/>
    protected internal override void FillBytes(MemoryBlock block, long byteOffset, long byteLength, byte value) =>
        ((HostMemoryBlock)block).Fill(byteOffset, byteLength, value);
}
