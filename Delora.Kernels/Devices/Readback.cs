using System.Runtime.InteropServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// A few numbers on their way from a device to the host. Asking for them does not wait; <see cref="Values"/> does, for what was asked of the device
/// before, not for what came after. On devices that compute on the host, and on OpenCL, they are there at once.
/// </summary>
public sealed unsafe class Readback : IDisposable
{
    private readonly GpuDevice? _gpu;
    private readonly DType _dtype;
    private readonly int _count;
    private double[]? _values;
    private IPtxEvent? _arrived;
    private nint _host;

    /// <summary>Asks for the elements of a floating-point tensor; whoever writes into it afterwards changes nothing here.</summary>
    /// <exception cref="DTypeException">The elements are no float32 or float64 numbers.</exception>
    /// <exception cref="ShapeException">There are more than 1024 bytes of them.</exception>
    public Readback(Tensor tensor)
    {
        if (tensor.DType is not (DType.Float32 or DType.Float64))
            throw new DTypeException($"Readback: '{tensor.Name}' {tensor.Shape} is {tensor.DType.Name}, not float32 or float64.");
        if (tensor.ByteLength > GpuDevice.ReadbackBytes)
            throw new ShapeException($"Readback: '{tensor.Name}' {tensor.Shape} has {tensor.ByteLength} bytes; {GpuDevice.ReadbackBytes} are allowed.");
        if (tensor.Device is not GpuDevice { Driver: { } driver } gpu)
        {
            _values = tensor.ToArray<double>();
            return;
        }
        (_gpu, _dtype, _count) = (gpu, tensor.DType, checked((int)tensor.ElementCount));
        GpuGraph.Current(gpu)?.Waits("it reads from the device");
        nint source = gpu.Address(tensor);
        _host = gpu.RentHost();
        gpu.Guarded("asking for numbers", () => gpu.Exclusively(() =>
        {
            driver.CopyToHost(source, _host, tensor.ByteLength);
            _arrived = gpu.RecordEvent();
        }));
    }

    /// <summary>Whether the numbers are there.</summary>
    /// <exception cref="DeviceException">Something that was asked of the device before has failed.</exception>
    public bool HasArrived
    {
        get
        {
            if (_values is not null) return true;
            IPtxEvent arrived = _arrived ?? throw new ObjectDisposedException(nameof(Readback));
            bool passed = false;
            _gpu!.Guarded("looking for numbers", () => passed = arrived.HasPassed);
            return passed;
        }
    }

    /// <summary>The numbers, after a wait where they are still on their way.</summary>
    /// <exception cref="DeviceException">Something that was asked of the device before has failed.</exception>
    public IReadOnlyList<double> Values => _values ??= Take();

    /// <summary>Forgets the numbers, where they have not been taken. Throws nothing: a fault of the device is told to whoever asks it for something.</summary>
    public void Dispose()
    {
        // A device that is gone has taken event and memory with it.
        if (_arrived is null || _gpu!.IsDisposed) return;
        try
        {
            // The memory must not be given to others under a copy.
            _ = Take();
        }
        catch (DeviceException)
        {
            // Nothing is copied after a fault.
        }
    }

    private double[] Take()
    {
        IPtxEvent arrived = _arrived ?? throw new ObjectDisposedException(nameof(Readback));
        try
        {
            _gpu!.Guarded("waiting for numbers", arrived.Wait);
            return _dtype == DType.Float64
                ? new ReadOnlySpan<double>((void*)_host, _count).ToArray()
                : Array.ConvertAll(new ReadOnlySpan<float>((void*)_host, _count).ToArray(), value => (double)value);
        }
        finally
        {
            _gpu!.ReleaseEvent(arrived);
            _gpu.ReturnHost(_host);
            (_arrived, _host) = (null, 0);
        }
    }
}
