using System.Numerics;

namespace Delora.Core;

/// <summary>What a live or forgotten piece of device memory was made for.</summary>
/// <param name="Id">Running number on its device.</param>
/// <param name="Name">The name given by whoever made the tensor, usually the op and its output.</param>
/// <param name="Shape">Shape of the tensor that was allocated.</param>
/// <param name="DType">Its element type.</param>
/// <param name="Bytes">Bytes of its block, after rounding up to the size class.</param>
public sealed record AllocationRecord(long Id, string Name, Shape Shape, DType DType, long Bytes)
{
    /// <summary>For instance <c>#12 LowRankLinear.y [512, 768] float32, 1572864 bytes</c>.</summary>
    public override string ToString() => $"#{Id} {Name} {Shape} {DType.Name}, {Bytes} bytes";
}

/// <summary>Counters of a <see cref="DeviceAllocator"/> at one moment.</summary>
/// <param name="BytesInUse">Bytes of blocks that tensors hold.</param>
/// <param name="PeakBytesInUse">The most bytes in use since the start or the last <see cref="DeviceAllocator.ResetPeak"/>.</param>
/// <param name="BytesCached">Bytes of free blocks kept for reuse.</param>
/// <param name="LiveAllocations">Blocks that tensors hold.</param>
/// <param name="SystemAllocations">How many times the device was asked for memory: constant after the first step of a training run.</param>
/// <param name="LeakedAllocations">Blocks that a finalizer had to return because nobody disposed their tensor.</param>
/// <param name="PeakBytesReserved">
/// The most bytes in use and cached together since the start or the last <see cref="DeviceAllocator.ResetPeak"/>: what the device had given.
/// </param>
public readonly record struct AllocatorStatistics(
    long BytesInUse, long PeakBytesInUse, long BytesCached, long LiveAllocations, long SystemAllocations, long LeakedAllocations,
    long PeakBytesReserved);

/// <summary>
/// Caching allocator of one device: blocks are rounded up to size classes (four per power of two, 256 bytes at least) and kept for reuse when
/// freed, because fresh memory costs more than the arithmetic on it. Thread-safe.
/// </summary>
public sealed partial class DeviceAllocator
{
    private const long MinBlock = 256;

    private readonly Device _device;
    private readonly Lock _lock = new();
    private readonly Dictionary<long, Stack<MemoryBlock>> _free = [];
    private readonly Dictionary<long, AllocationRecord> _live = [];
    private long _nextId, _inUse, _peak, _peakReserved, _cached, _systemAllocations, _leaked;

    internal DeviceAllocator(Device device) => _device = device;

    /// <summary>Raised on the finalizer thread for each tensor that was forgotten; its memory has been taken back already.</summary>
    public event Action<AllocationRecord>? Leaked;

    /// <summary>
    /// Fills every block with 0xFF bytes (NaN in every floating-point type, −1 in the integers) before it is handed out, so that a kernel that
    /// reads what nobody wrote shows itself. For tests and for hunting errors.
    /// </summary>
    public bool PoisonNewAllocations { get; set; }

    /// <summary>The counters now.</summary>
    public AllocatorStatistics Statistics
    {
        get { lock (_lock) return new(_inUse, _peak, _cached, _live.Count, _systemAllocations, _leaked, _peakReserved); }
    }

    /// <summary>Every live allocation, oldest first: what a leak report prints.</summary>
    public IReadOnlyList<AllocationRecord> LiveAllocations()
    {
        lock (_lock) return [.. _live.Values.OrderBy(record => record.Id)];
    }

    /// <summary>Starts a new peak measurement from what is in use now.</summary>
    public void ResetPeak()
    {
        lock (_lock) (_peak, _peakReserved) = (_inUse, _inUse + _cached);
    }

    /// <summary>Gives all free blocks back to the device.</summary>
    public void Trim()
    {
        _device.SynchronizeToFree();
        lock (_lock) TrimLocked();
    }

    /// <summary>The size class of a request: 256 bytes, then four steps per power of two.</summary>
    /// <exception cref="DeviceMemoryException">The request is beyond any device.</exception>
    internal static long SizeClass(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        if (bytes <= MinBlock) return MinBlock;
        if (bytes > long.MaxValue / 2) throw new DeviceMemoryException($"{bytes} bytes were asked for: no device has that.", bytes, 0);
        long step = 1L << (BitOperations.Log2((ulong)(bytes - 1)) - 2);
        return (bytes + step - 1) & -step;
    }

    internal MemoryBlock Rent(long bytes, string name, Shape shape, DType dtype, out AllocationRecord record)
    {
        ObjectDisposedException.ThrowIf(_device.IsDisposed, _device);
        long size = SizeClass(bytes);
        MemoryBlock? block = TryRent(size) ?? AllocateNew(size, bytes, name, shape);
        lock (_lock)
        {
            _inUse += size;
            _peak = Math.Max(_peak, _inUse);
            _peakReserved = Math.Max(_peakReserved, _inUse + _cached);
            record = new AllocationRecord(++_nextId, name, shape, dtype, size);
            _live.Add(record.Id, record);
        }
        if (!PoisonNewAllocations) return block;
        try
        {
            _device.Fill(block, 0, size, 0xFF);
            return block;
        }
        catch
        {
            Return(block, record, leaked: false);
            throw;
        }
    }

    internal void Return(MemoryBlock block, AllocationRecord record, bool leaked)
    {
        bool free = false;
        if (_device.IsPlanning) ((HostMemoryBlock)block).Renew();
        lock (_lock)
        {
            _live.Remove(record.Id);
            _inUse -= record.Bytes;
            if (leaked) _leaked++;
            if (_device.IsDisposed)
            {
                free = true;
            }
            else
            {
                _cached += record.Bytes;
                if (block.Pool is { } pool) pool.Return(block);
                else if (block.Pins > 0) block.IsAbandoned = true;
                else Cache(block);
            }
        }
        if (free) _device.Release(block);
        if (leaked) Leaked?.Invoke(record);
    }

    private MemoryBlock AllocateNew(long size, long bytes, string name, Shape shape)
    {
        try
        {
            return Ask(size);
        }
        catch (Exception error) when (error is OutOfMemoryException or DeviceMemoryException)
        {
            // What is cached may be all that is missing, or what is kept for recordings.
            BlockPool.Current(this)?.Shortage?.Invoke();
            Trim();
            try
            {
                return Ask(size);
            }
            catch (Exception again) when (again is OutOfMemoryException or DeviceMemoryException)
            {
                long inUse = Statistics.BytesInUse;
                throw new DeviceMemoryException(
                    $"{_device.Name} has no {bytes} bytes left for {name} {shape}; {inUse} bytes are in use by {Statistics.LiveAllocations} tensors.",
                    bytes, inUse, again);
            }
        }
    }

    private MemoryBlock Ask(long size)
    {
        MemoryBlock block = _device.Provide(size);
        lock (_lock)
        {
            _systemAllocations++;
            BlockPool.Current(this)?.Adopt(block);
        }
        return block;
    }

    private void TrimLocked()
    {
        foreach (var stack in _free.Values)
            while (stack.TryPop(out MemoryBlock? block))
            {
                _cached -= block.ByteLength;
                _device.Release(block);
            }
    }
}
