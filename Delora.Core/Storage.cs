namespace Delora.Core;

/// <summary>The reference-counted memory behind a tensor and its views.</summary>
internal sealed class Storage
{
    private readonly AllocationRecord _record;
    private int _references = 1;

    internal Storage(Device device, long byteLength, string name, Shape shape, DType dtype)
    {
        Device = device;
        Block = device.Memory.Rent(byteLength, name, shape, dtype, out AllocationRecord record);
        _record = record;
    }

    ~Storage()
    {
        // Reached only when the last tensor was never disposed. Rent may have thrown: then there is nothing to return.
        if (_record is not null) Device.Memory.Return(Block, _record, leaked: true);
    }

    internal Device Device { get; }

    internal MemoryBlock Block { get; }

    /// <summary>The integers in it, where the host wrote them and nobody else; see <see cref="Tensor.FromIndices"/>.</summary>
    internal int[]? Known { get; set; }

    /// <summary>Counts one more tensor; false where the last one has just been disposed by another thread.</summary>
    internal bool TryAddReference()
    {
        int count = Volatile.Read(ref _references);
        while (count > 0)
        {
            int seen = Interlocked.CompareExchange(ref _references, count + 1, count);
            if (seen == count) return true;
            count = seen;
        }
        return false;
    }

    internal void Release()
    {
        if (Interlocked.Decrement(ref _references) != 0) return;
        GC.SuppressFinalize(this);
        Device.Memory.Return(Block, _record, leaked: false);
    }
}
