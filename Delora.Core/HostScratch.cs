namespace Delora.Core;

/// <summary>
/// Working memory of a host kernel for the time of one call, from the device's caching allocator (so it is counted, and free after the first
/// call of a size). Use with <c>using</c>.
/// </summary>
internal readonly unsafe ref struct HostScratch
{
    private readonly HostDevice _device;
    private readonly HostMemoryBlock _block;
    private readonly AllocationRecord _record;

    internal HostScratch(HostDevice device, long byteLength, string name)
    {
        _device = device;
        _block = (HostMemoryBlock)device.Memory.Rent(byteLength, name, default, DType.UInt8, out _record);
    }

    /// <summary>The first byte, aligned to 64 bytes; contents undefined.</summary>
    internal byte* Pointer => _block.Pointer;

    internal float* Floats => (float*)_block.Pointer;

    internal double* Doubles => (double*)_block.Pointer;

    internal Span<T> Span<T>(int count) where T : unmanaged => new(_block.Pointer, count);

    public void Dispose() => _device.Memory.Return(_block, _record, leaked: false);
}
