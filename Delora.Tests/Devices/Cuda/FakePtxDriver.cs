using System.Runtime.InteropServices;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.DeviceTests;

/// <summary>
/// Stands in for a CUDA card where only what reaches the driver matters: copies and fills happen on the host's memory, launches are written down, and
/// what is recorded happens when it is replayed.
/// </summary>
internal sealed unsafe class FakePtxDriver : IPtxDriver
{
    private readonly Dictionary<nint, nint> _pinned = [];
    private List<Action>? _recording;
    private bool _spoiled;

    public PtxTarget Target { get; init; } = new(9, 0, 84, 132, 227 << 10);

    /// <summary>Local memory that its functions take.</summary>
    internal int LocalBytes { get; init; }

    /// <summary>The most threads that its functions take.</summary>
    internal int MaxThreads { get; init; } = 1024;

    /// <summary>What was loaded, in order.</summary>
    internal List<(string Name, string Ptx)> Loaded { get; } = [];

    /// <summary>What was launched and has run, in order.</summary>
    internal List<(string Entry, PtxLaunch Launch, byte[] Parameters)> Launched { get; } = [];

    /// <summary>What the next launch throws.</summary>
    internal Exception? Refusal { get; set; }

    /// <summary>What every call that waits throws, as after a fault of a kernel.</summary>
    internal Exception? Fault { get; set; }

    internal bool IsDisposed { get; private set; }

    public IPtxModule Load(string name, string ptx)
    {
        if (ptx.Contains("not ptx", StringComparison.Ordinal)) throw new DeviceException("CUDA_ERROR_INVALID_PTX (218)");
        Loaded.Add((name, ptx));
        return new Module(this);
    }

    public void Copy(nint source, nint destination, long byteLength) =>
        Do(() => Buffer.MemoryCopy((void*)source, (void*)destination, byteLength, byteLength));

    public void Fill(nint destination, long byteLength, byte value) =>
        Do(() => NativeMemory.Fill((void*)destination, (nuint)byteLength, value));

    public void CopyFromHost(nint source, nint destination, long byteLength) => NotRecorded(() => Copy(source, destination, byteLength));

    public void CopyToHost(nint source, nint destination, long byteLength) => NotRecorded(() => Copy(source, destination, byteLength));

    public nint AllocateHost(long byteLength)
    {
        var address = (nint)NativeMemory.Alloc((nuint)byteLength);
        _pinned.Add(address, address);
        return address;
    }

    public void FreeHost(nint address)
    {
        Assert.True(_pinned.Remove(address));
        NativeMemory.Free((void*)address);
    }

    public TensorMap MakeTensorMap(TensorTiles tiles) => throw new NotSupportedException();

    public IPtxEvent CreateEvent() => new Event(this);

    public void BeginCapture()
    {
        Assert.Null(_recording);
        (_recording, _spoiled) = ([], false);
    }

    public IPtxGraph EndCapture()
    {
        Assert.NotNull(_recording);
        List<Action> recorded = _recording;
        _recording = null;
        return _spoiled ? throw new DeviceException("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED (901)") : new Graph(recorded);
    }

    public void Dispose()
    {
        Assert.Empty(_pinned);
        IsDisposed = true;
    }

    private void Do(Action work)
    {
        if (_recording is null) work();
        else _recording.Add(work);
    }

    private void NotRecorded(Action work)
    {
        if (_recording is null)
        {
            work();
            return;
        }
        _spoiled = true;
        throw new DeviceException("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900)");
    }

    private sealed class Module(FakePtxDriver driver) : IPtxModule
    {
        public IPtxFunction GetFunction(PtxSignature signature) => new Function(driver, signature.Entry);

        public void Dispose()
        {
            // It holds nothing.
        }
    }

    private sealed class Function(FakePtxDriver driver, string entry) : IPtxFunction
    {
        public PtxFunctionInfo Info => new(driver.MaxThreads, 32, driver.LocalBytes, 0);

        public void Launch(PtxLaunch launch, ReadOnlySpan<byte> parameters)
        {
            if (driver.Refusal is { } refusal) throw refusal;
            byte[] kept = parameters.ToArray();
            driver.Do(() => driver.Launched.Add((entry, launch, kept)));
        }
    }

    private sealed class Event(FakePtxDriver driver) : IPtxEvent
    {
        public bool HasPassed => driver.Fault is { } fault ? throw fault : true;

        public void Record() => driver.NotRecorded(() => { });

        public void Wait() => driver.NotRecorded(() =>
        {
            if (driver.Fault is { } fault) throw fault;
        });

        public double MillisecondsSince(IPtxEvent start) => 0;

        public void Dispose()
        {
            // It holds nothing.
        }
    }

    private sealed class Graph(List<Action> work) : IPtxGraph
    {
        public void Replay()
        {
            foreach (Action action in work) action();
        }

        public void Dispose() => work.Clear();
    }
}
