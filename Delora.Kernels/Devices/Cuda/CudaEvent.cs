namespace Delora.Kernels;

/// <summary>An event of the driver.</summary>
internal sealed unsafe class CudaEvent : IPtxEvent
{
    private readonly CudaDriver _driver;
    private nint _event;

    /// <summary>A new event; the driver is bound.</summary>
    internal CudaEvent(CudaDriver driver)
    {
        _driver = driver;
        nint handle;
        CudaDriver.Check(CudaApi.EventCreate(&handle, 0), "making an event");
        _event = handle;
    }

    public bool HasPassed
    {
        get
        {
            _driver.Bind();
            CudaResult result = CudaApi.EventQuery(_event);
            if (result == CudaResult.NotReady) return false;
            CudaDriver.Check(result, "asking for an event");
            return true;
        }
    }

    public void Record()
    {
        _driver.Bind();
        CudaDriver.Check(CudaApi.EventRecord(_event, _driver.Stream), "recording an event");
    }

    public void Wait()
    {
        _driver.Bind();
        CudaDriver.Check(CudaApi.EventSynchronize(_event), "waiting for an event");
    }

    public double MillisecondsSince(IPtxEvent start)
    {
        _driver.Bind();
        float milliseconds;
        CudaDriver.Check(CudaApi.EventElapsedTime(&milliseconds, ((CudaEvent)start)._event, _event), "measuring the time between events");
        return milliseconds;
    }

    public void Dispose()
    {
        if (_event == 0) return;
        _driver.Bind();
        _ = CudaApi.EventDestroy(_event);
        _event = 0;
    }
}

/// <summary>A recorded sequence that the driver has made executable.</summary>
internal sealed class CudaGraph(CudaDriver driver, nint executable) : IPtxGraph
{
    private nint _executable = executable;

    public void Replay()
    {
        ObjectDisposedException.ThrowIf(_executable == 0, this);
        driver.Bind();
        CudaDriver.Check(CudaApi.GraphLaunch(_executable, driver.Stream), "replaying a recorded graph");
    }

    public void Dispose()
    {
        if (_executable == 0) return;
        driver.Bind();
        _ = CudaApi.GraphExecDestroy(_executable);
        _executable = 0;
    }
}
