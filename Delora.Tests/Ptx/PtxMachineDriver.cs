using System.Diagnostics;
using System.Runtime.InteropServices;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ptx;

/// <summary>
/// The interpreter in the place of the CUDA driver. What is launched runs at once, and a fault is thrown where the launch stands, as a
/// <see cref="DeviceException"/> with the <see cref="PtxFault"/> inside.
/// </summary>
internal sealed class PtxMachineDriver(
    PtxTarget target, Func<IEnumerable<PtxRange>> allocations, Func<long>? version = null, PtxOptions? options = null) : IPtxDriver
{
    private readonly PtxMachine _machine = new(target, allocations, version, options);
    private List<Action>? _captured;
    private string? _broken;

    /// <summary>A card like an H100, with the newest PTX that the machine's tests assemble.</summary>
    internal static PtxTarget Hopper { get; } = new(9, 0, 84, 132, 227 << 10);

    public PtxTarget Target => _machine.Target;

    public IPtxModule Load(string name, string ptx) => Guarded(() => new Module(this, _machine.Load(name, ptx)));

    public unsafe void Copy(nint source, nint destination, long byteLength) => Do(() =>
    {
        Check(source, byteLength);
        Check(destination, byteLength);
        if (Math.Abs(source - destination) < byteLength) throw new DeviceException($"{byteLength} bytes are copied between ranges that overlap");
        Buffer.MemoryCopy((void*)source, (void*)destination, byteLength, byteLength);
    });

    public unsafe void Fill(nint destination, long byteLength, byte value) => Do(() =>
    {
        Check(destination, byteLength);
        NativeMemory.Fill((void*)destination, checked((nuint)byteLength), value);
    });

    public void BeginCapture()
    {
        if (_captured is not null) throw new DeviceException("a recording is under way already");
        (_captured, _broken) = ([], null);
    }

    public IPtxGraph EndCapture()
    {
        List<Action> captured = _captured ?? throw new DeviceException("no recording is under way");
        _captured = null;
        return _broken is null ? new Graph(captured) : throw new DeviceException($"{_broken} cannot be recorded");
    }

    public unsafe void CopyFromHost(nint source, nint destination, long byteLength)
    {
        NotWhileRecording("copying from the host");
        Check(destination, byteLength);
        Buffer.MemoryCopy((void*)source, (void*)destination, byteLength, byteLength);
    }

    public unsafe void CopyToHost(nint source, nint destination, long byteLength)
    {
        NotWhileRecording("copying to the host");
        Check(source, byteLength);
        Buffer.MemoryCopy((void*)source, (void*)destination, byteLength, byteLength);
    }

    public unsafe nint AllocateHost(long byteLength) => (nint)NativeMemory.AlignedAlloc(checked((nuint)byteLength), 64);

    public unsafe void FreeHost(nint address) => NativeMemory.AlignedFree((void*)address);

    /// <summary>As <c>cuTensorMapEncodeTiled</c> demands it of 16-bit numbers and of tiles with rows of 128 bytes.</summary>
    public TensorMap MakeTensorMap(TensorTiles tiles)
    {
        if (tiles.Address % 16 != 0 || tiles.RowBytes % 16 != 0 || tiles.TileRows is < 1 or > 256 || Math.Min(Math.Min(tiles.Columns, tiles.Rows), tiles.Batch) < 1
            || tiles.Type is not (DType.BFloat16 or DType.Float16))
            throw new DeviceException($"there is no tensor map of {tiles}");
        Check(tiles.Address, checked(tiles.MatrixBytes * tiles.Batch));
        return MemoryMarshal.Read<TensorMap>(new PtxTensorMap(
            (ulong)tiles.Address, tiles.Type.Size, [tiles.Columns, tiles.Rows, tiles.Batch], [tiles.RowBytes, tiles.MatrixBytes],
            [TensorTiles.TileColumns, tiles.TileRows, 1], PtxSwizzle.Bytes128).Encode());
    }

    public IPtxEvent CreateEvent() => new Event(this);

    private void NotWhileRecording(string what)
    {
        if (_captured is null) return;
        _broken = what;
        throw new DeviceException($"{what} cannot be recorded");
    }

    public void Dispose() { }

    private void Check(nint address, long length)
    {
        if (length < 0 || !_machine.Memory.TryFind((ulong)address, (ulong)length, out _))
            throw new DeviceException($"{length} bytes at 0x{address:x} are not allocated");
    }

    private void Do(Action action)
    {
        if (_captured is not null) _captured.Add(action);
        else action();
    }

    private static T Guarded<T>(Func<T> action)
    {
        try
        {
            return action();
        }
        catch (PtxFault fault)
        {
            throw new DeviceException(fault.Message, fault);
        }
    }

    private sealed class Module(PtxMachineDriver driver, PtxLoadedText text) : IPtxModule
    {
        public IPtxFunction GetFunction(PtxSignature signature) => Guarded(() => new Function(driver, text.Entry(signature.Entry)));

        public void Dispose() => text.Unload();
    }

    private sealed class Function(PtxMachineDriver driver, PtxEntry entry) : IPtxFunction
    {
        // The machine has all registers that a text declares; it gives none to threads.
        public PtxFunctionInfo Info => new(
            (int)Math.Min(entry.Program.Entry.MaxThreads ?? int.MaxValue, driver.Target.MaxThreads), 0, entry.Program.LocalBytes, entry.Program.SharedBytes);

        public void Launch(PtxLaunch launch, ReadOnlySpan<byte> parameters)
        {
            byte[] copy = parameters.ToArray();
            driver.Do(() => Guarded(() =>
            {
                entry.Launch(launch, copy);
                return true;
            }));
        }
    }

    private sealed class Event(PtxMachineDriver driver) : IPtxEvent
    {
        private long _time;

        public bool HasPassed => true;

        public void Record()
        {
            driver.NotWhileRecording("an event");
            _time = Stopwatch.GetTimestamp();
        }

        public void Wait() => driver.NotWhileRecording("waiting for the device");

        public double MillisecondsSince(IPtxEvent start) => Stopwatch.GetElapsedTime(((Event)start)._time, _time).TotalMilliseconds;

        public void Dispose() { }
    }

    private sealed class Graph(List<Action> actions) : IPtxGraph
    {
        public void Replay() => actions.ForEach(action => action());

        public void Dispose() => actions.Clear();
    }
}
