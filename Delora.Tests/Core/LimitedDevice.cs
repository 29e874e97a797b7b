using Delora.Core;

namespace Delora.Tests.Core;

/// <summary>A host device that has only so many bytes: for the allocator's tests, which must not depend on this machine's memory.</summary>
internal sealed class LimitedDevice(long limit = long.MaxValue) : HostDevice("limited")
{
    public override DType FloatType => DType.Float32;

    /// <summary>Bytes that the "system" has given out, cached ones included.</summary>
    public long BytesGiven { get; private set; }

    protected internal override MemoryBlock AllocateBlock(long byteLength)
    {
        if (byteLength > limit - BytesGiven) throw new OutOfMemoryException();
        BytesGiven += byteLength;
        return base.AllocateBlock(byteLength);
    }

    protected internal override void FreeBlock(MemoryBlock block)
    {
        BytesGiven -= block.ByteLength;
        base.FreeBlock(block);
    }

    protected override void DisposeDevice()
    {
        // Nothing beyond the memory, which the allocator gives back.
    }
}
