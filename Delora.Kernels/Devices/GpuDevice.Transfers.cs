using System.Collections.Concurrent;
using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// Numbers that come from and go to the host on CUDA. Small ones, ids and labels, are put down in page-locked memory and go on their way without anybody
/// waiting; small results come back the same way (<see cref="Readback"/>).
/// </summary>
public sealed partial class GpuDevice
{
    private const int StagingSlots = 16;
    private const int StagingBytes = 64 << 10;

    /// <summary>The most bytes that <see cref="RentHost"/> gives.</summary>
    internal const int ReadbackBytes = 1024;

    private readonly ConcurrentBag<IPtxEvent> _idleEvents = [];

    // Page-locked memory for results: asking the driver for it may wait for the device, so that it is kept.
    private readonly ConcurrentBag<nint> _idleHost = [];
    private readonly ConcurrentBag<nint> _host = [];

    // Guarded by _lock. A slot is used again when the copy from it has passed.
    private readonly IPtxEvent?[] _staged = new IPtxEvent?[StagingSlots];
    private nint _staging;
    private int _nextSlot;

    /// <summary>An event behind everything that was asked for so far. Give it back with <see cref="ReleaseEvent"/>.</summary>
    internal IPtxEvent RecordEvent()
    {
        lock (_lock)
        {
            if (!_idleEvents.TryTake(out IPtxEvent? place)) place = _ptx!.CreateEvent();
            place.Record();
            return place;
        }
    }

    /// <summary>Takes back what <see cref="RecordEvent"/> gave.</summary>
    internal void ReleaseEvent(IPtxEvent place) => _idleEvents.Add(place);

    /// <summary>A piece of page-locked memory, <see cref="ReadbackBytes"/> long. Give it back with <see cref="ReturnHost"/>.</summary>
    internal nint RentHost()
    {
        if (_idleHost.TryTake(out nint address)) return address;
        lock (_lock) address = _ptx!.AllocateHost(ReadbackBytes);
        _host.Add(address);
        return address;
    }

    /// <summary>Takes back what <see cref="RentHost"/> gave.</summary>
    internal void ReturnHost(nint address) => _idleHost.Add(address);

    /// <summary>Waits for everything before, while other threads go on launching.</summary>
    private void Wait()
    {
        GpuGraph.Current(this)?.Waits("it waits for the device");
        WaitForAll();
    }

    private void WaitForAll()
    {
        IPtxEvent place = RecordEvent();
        try
        {
            place.Wait();
        }
        finally
        {
            ReleaseEvent(place);
        }
    }

    private unsafe void Upload(ReadOnlySpan<byte> source, ArrayView<byte> destination)
    {
        if (GpuGraph.Current(this)?.Upload(source, destination) == true) return;
        if (source.Length <= StagingBytes)
        {
            lock (_lock) Stage(source, destination);
            return;
        }
        fixed (byte* from = source)
        {
            lock (_lock) _ptx!.CopyFromHost((nint)from, Address(destination), source.Length);
            // The source is the caller's again. Work that is recorded never comes here.
            WaitForAll();
        }
    }

    private unsafe void Stage(ReadOnlySpan<byte> source, ArrayView<byte> destination)
    {
        if (_staging == 0) _staging = _ptx!.AllocateHost(StagingSlots * StagingBytes);
        int slot = _nextSlot;
        _nextSlot = (_nextSlot + 1) % StagingSlots;
        if (_staged[slot] is { } earlier) earlier.Wait();
        nint address = _staging + slot * StagingBytes;
        source.CopyTo(new Span<byte>((void*)address, source.Length));
        _ptx!.CopyFromHost(address, Address(destination), source.Length);
        (_staged[slot] ??= _ptx.CreateEvent()).Record();
    }

    private unsafe void Download(ArrayView<byte> source, Span<byte> destination)
    {
        GpuGraph.Current(this)?.Waits("it reads from the device");
        fixed (byte* to = destination)
        {
            lock (_lock) _ptx!.CopyToHost(Address(source), (nint)to, destination.Length);
            Wait();
        }
    }

    private void DisposeTransfers()
    {
        foreach (IPtxEvent place in _idleEvents) place.Dispose();
        foreach (IPtxEvent? place in _staged) place?.Dispose();
        foreach (nint address in _host) _ptx!.FreeHost(address);
        if (_staging != 0) _ptx!.FreeHost(_staging);
        _staging = 0;
    }
}
