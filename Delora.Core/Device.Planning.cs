namespace Delora.Core;

// What the allocator and tensors ask for, of a device that has memory or of one that only counts it.
public abstract partial class Device
{
    /// <summary>Copies within a planning device are made up to here: ids and settings are looked at, weights are not.</summary>
    private const long PlannedCopyBytes = 1 << 20;

    /// <summary>
    /// Whether the device only counts: its allocator gives blocks of the sizes that another device would give, without memory behind them, and its
    /// kernels check their arguments, ask for their working memory, and compute nothing. What the host wrote can be read back; everything else reads
    /// as zeros.
    /// </summary>
    public bool IsPlanning { get; }

    /// <summary>
    /// Bytes that the process can still take on this device, those of <see cref="Memory"/> that are free included: of a card its free memory, on the
    /// host what the system and the control groups of the process leave.
    /// </summary>
    public virtual long AvailableMemoryBytes => Math.Max(0, MemoryBytes - Memory.Statistics.BytesInUse);

    internal MemoryBlock Provide(long byteLength) => IsPlanning ? HostMemoryBlock.Reserve(byteLength) : AllocateBlock(byteLength);

    /// <summary>Waits until memory that is free can be given back. Whatever work is being noted down has no part in that.</summary>
    internal virtual void SynchronizeToFree() => Synchronize();

    internal void Release(MemoryBlock block)
    {
        if (IsPlanning) ((HostMemoryBlock)block).Free();
        else FreeBlock(block);
    }

    internal void Write(ReadOnlySpan<byte> source, MemoryBlock destination, long byteOffset)
    {
        if (IsPlanning) ((HostMemoryBlock)destination).Write(byteOffset, source);
        else CopyFromHost(source, destination, byteOffset);
    }

    internal void Read(MemoryBlock source, long byteOffset, Span<byte> destination)
    {
        if (IsPlanning) ((HostMemoryBlock)source).Read(byteOffset, destination);
        else CopyToHost(source, byteOffset, destination);
    }

    internal void Copy(MemoryBlock source, long sourceOffset, MemoryBlock destination, long destinationOffset, long byteLength)
    {
        if (!IsPlanning) CopyWithin(source, sourceOffset, destination, destinationOffset, byteLength);
        else if (byteLength <= PlannedCopyBytes)
            ((HostMemoryBlock)source).CopyTo(sourceOffset, (HostMemoryBlock)destination, destinationOffset, byteLength);
    }

    internal void Fill(MemoryBlock block, long byteOffset, long byteLength, byte value)
    {
        if (!IsPlanning) FillBytes(block, byteOffset, byteLength, value);
    }
}
