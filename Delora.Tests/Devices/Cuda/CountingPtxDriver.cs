using Delora.Kernels;

namespace Delora.Tests.DeviceTests;

/// <summary>Passes everything on to another driver, and counts what costs time on a card: launches one by one, replays, and waiting.</summary>
internal sealed class CountingPtxDriver(IPtxDriver inner) : IPtxDriver
{
    private bool _isCapturing;

    /// <summary>Kernels that were launched one by one.</summary>
    internal long Launches { get; private set; }

    /// <summary>Graphs that were replayed.</summary>
    internal long Replays { get; private set; }

    /// <summary>Copies from the host.</summary>
    internal long Uploads { get; private set; }

    /// <summary>Of each wait how many graphs have been replayed, behind the place that was waited for, when it began.</summary>
    internal List<long> Waits { get; } = [];

    public PtxTarget Target => inner.Target;

    public IPtxModule Load(string name, string ptx) => new Module(this, inner.Load(name, ptx));

    public void Copy(nint source, nint destination, long byteLength) => inner.Copy(source, destination, byteLength);

    public void Fill(nint destination, long byteLength, byte value) => inner.Fill(destination, byteLength, value);

    public void CopyFromHost(nint source, nint destination, long byteLength)
    {
        Uploads++;
        inner.CopyFromHost(source, destination, byteLength);
    }

    public void CopyToHost(nint source, nint destination, long byteLength) => inner.CopyToHost(source, destination, byteLength);

    public nint AllocateHost(long byteLength) => inner.AllocateHost(byteLength);

    public void FreeHost(nint address) => inner.FreeHost(address);

    public TensorMap MakeTensorMap(TensorTiles tiles) => inner.MakeTensorMap(tiles);

    public IPtxEvent CreateEvent() => new Event(this, inner.CreateEvent());

    public void BeginCapture()
    {
        _isCapturing = true;
        inner.BeginCapture();
    }

    public IPtxGraph EndCapture()
    {
        _isCapturing = false;
        return new Graph(this, inner.EndCapture());
    }

    public void Dispose() => inner.Dispose();

    private sealed class Module(CountingPtxDriver driver, IPtxModule module) : IPtxModule
    {
        public IPtxFunction GetFunction(PtxSignature signature) => new Function(driver, module.GetFunction(signature));

        public void Dispose() => module.Dispose();
    }

    private sealed class Function(CountingPtxDriver driver, IPtxFunction function) : IPtxFunction
    {
        public PtxFunctionInfo Info => function.Info;

        public void Launch(PtxLaunch launch, ReadOnlySpan<byte> parameters)
        {
            if (!driver._isCapturing) driver.Launches++;
            function.Launch(launch, parameters);
        }
    }

    private sealed class Event(CountingPtxDriver driver, IPtxEvent place) : IPtxEvent
    {
        private long _replays;

        public bool HasPassed => place.HasPassed;

        public void Record()
        {
            _replays = driver.Replays;
            place.Record();
        }

        public void Wait()
        {
            driver.Waits.Add(driver.Replays - _replays);
            place.Wait();
        }

        public double MillisecondsSince(IPtxEvent start) => place.MillisecondsSince(((Event)start).Inner);

        private IPtxEvent Inner => place;

        public void Dispose() => place.Dispose();
    }

    private sealed class Graph(CountingPtxDriver driver, IPtxGraph graph) : IPtxGraph
    {
        public void Replay()
        {
            driver.Replays++;
            graph.Replay();
        }

        public void Dispose() => graph.Dispose();
    }
}
