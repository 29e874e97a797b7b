namespace Delora.Core;

/// <summary>The reference-counted memory behind a tensor and its views.</summary>
internal sealed class Storage
{
    private readonly AllocationRecord _record;
    private int _references = 1;

    internal Storage(Device device, long byteLength, string name, Shape shape, DType dtype)
    {
        Device = device;
        Block = device.Memory.Rent(byteLength, name, shape, dtype, out _record);
    }

    ~Storage()
    {
        // Reached only when the last tensor was never disposed. Rent may have thrown: then there is nothing to return.
        if (_record is not null) Device.Memory.Return(Block, _record, leaked: true);
    }

    internal Device Device { get; }

    internal MemoryBlock Block { get; }

    internal void AddReference() => Interlocked.Increment(ref _references);

    internal void Release()
    {
        if (Interlocked.Decrement(ref _references) != 0) return;
        GC.SuppressFinalize(this);
        Device.Memory.Return(Block, _record, leaked: false);
    }
}
