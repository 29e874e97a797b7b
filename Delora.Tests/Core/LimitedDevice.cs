using Delora.Core;

namespace Delora.Tests.Core;

/// <summary>A host device that has only so many bytes: for the allocator's tests, which must not depend on this machine's memory.</summary>
internal sealed class LimitedDevice(long limit = long.MaxValue) : HostDevice("limited")
{
    public override DType FloatType => DType.Float32;

    private long _given;

    /// <summary>Bytes that the "system" has given out, cached ones included.</summary>
    public long BytesGiven => Interlocked.Read(ref _given);

    protected internal override MemoryBlock AllocateBlock(long byteLength)
    {
        if (byteLength > limit - BytesGiven) throw new OutOfMemoryException();
        Interlocked.Add(ref _given, byteLength);
        return base.AllocateBlock(byteLength);
    }

    protected internal override void FreeBlock(MemoryBlock block)
    {
        Interlocked.Add(ref _given, -block.ByteLength);
        base.FreeBlock(block);
    }

    /// <summary>Whether the next fill fails, as on a GPU whose driver reports an error.</summary>
    public bool FailsToFill { get; set; }

    protected internal override void FillBytes(MemoryBlock block, long byteOffset, long byteLength, byte value)
    {
        if (FailsToFill) throw new DeviceException("no fill today");
        base.FillBytes(block, byteOffset, byteLength, value);
    }

    /// <summary>Whether waiting fails, as on a GPU whose last kernel has failed.</summary>
    public bool FailsToSynchronize { get; set; }

    public override void Synchronize()
    {
        if (FailsToSynchronize) throw new DeviceException("the last kernel has failed");
    }

    /// <summary>How many times the device itself was released.</summary>
    public int Releases { get; private set; }

    protected override void DisposeDevice()
    {
        // Nothing beyond the memory, which the allocator gives back.
        Releases++;
    }
}
