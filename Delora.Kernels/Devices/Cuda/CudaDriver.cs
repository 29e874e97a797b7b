using Delora.Core;
using ILGPU.Runtime.Cuda;

namespace Delora.Kernels;

/// <summary>
/// The CUDA driver, on the context and the stream of an ILGPU accelerator. Each call binds the accelerator first: a thread has one current context, and
/// ILGPU remembers which.
/// </summary>
internal sealed unsafe class CudaDriver : IPtxDriver
{
    private readonly CudaAccelerator _accelerator;
    private readonly nint _stream;

    internal CudaDriver(CudaAccelerator accelerator, CudaStream stream)
    {
        _accelerator = accelerator;
        _stream = stream.StreamPtr;
        Bind();
        int version, device;
        Check(CudaApi.DriverGetVersion(&version), "asking for the driver's version");
        Check(CudaApi.CtxGetDevice(&device), "asking for the context's card");
        Target = new PtxTarget(
            Ask(device, CudaDeviceAttribute.ComputeCapabilityMajor), Ask(device, CudaDeviceAttribute.ComputeCapabilityMinor),
            PtxTarget.VersionOf(version), Ask(device, CudaDeviceAttribute.MultiprocessorCount),
            Ask(device, CudaDeviceAttribute.MaxSharedMemoryPerBlockOptin), Ask(device, CudaDeviceAttribute.MaxThreadsPerBlock));

        static int Ask(int device, CudaDeviceAttribute attribute)
        {
            int value;
            Check(CudaApi.DeviceGetAttribute(&value, attribute, device), $"asking for the card's {attribute}");
            return value;
        }
    }

    public PtxTarget Target { get; }

    /// <summary>The stream of all work.</summary>
    internal nint Stream => _stream;

    public IPtxModule Load(string name, string ptx)
    {
        Bind();
        return new CudaModule(this, name, ptx);
    }

    public void Copy(nint source, nint destination, long byteLength)
    {
        Bind();
        Check(CudaApi.MemcpyDtoDAsync((ulong)destination, (ulong)source, checked((nuint)byteLength), _stream), $"copying {byteLength} bytes");
    }

    public void Fill(nint destination, long byteLength, byte value)
    {
        Bind();
        Check(CudaApi.MemsetD8Async((ulong)destination, value, checked((nuint)byteLength), _stream), $"filling {byteLength} bytes");
    }

    public void CopyFromHost(nint source, nint destination, long byteLength)
    {
        Bind();
        Check(
            CudaApi.MemcpyHtoDAsync((ulong)destination, (void*)source, checked((nuint)byteLength), _stream),
            $"copying {byteLength} bytes from the host");
    }

    public void CopyToHost(nint source, nint destination, long byteLength)
    {
        Bind();
        Check(
            CudaApi.MemcpyDtoHAsync((void*)destination, (ulong)source, checked((nuint)byteLength), _stream),
            $"copying {byteLength} bytes to the host");
    }

    public nint AllocateHost(long byteLength)
    {
        Bind();
        void* address;
        CudaResult result = CudaApi.MemHostAlloc(&address, checked((nuint)byteLength), 0);
        if (result == CudaResult.OutOfMemory)
            throw new DeviceMemoryException($"the CUDA driver refused {byteLength} bytes of page-locked host memory", byteLength, 0);
        Check(result, $"asking for {byteLength} bytes of page-locked host memory");
        return (nint)address;
    }

    public void FreeHost(nint address)
    {
        Bind();
        // As with events and modules: after a fault every call fails, and who cleans up must get to the end.
        _ = CudaApi.MemFreeHost((void*)address);
    }

    public TensorMap MakeTensorMap(TensorTiles tiles)
    {
        const int Dimensions = 3;
        Bind();
        ulong* sizes = stackalloc ulong[Dimensions] { (ulong)tiles.Columns, (ulong)tiles.Rows, (ulong)tiles.Batch };
        ulong* strides = stackalloc ulong[Dimensions - 1] { (ulong)tiles.RowBytes, (ulong)tiles.MatrixBytes };
        uint* tile = stackalloc uint[Dimensions] { TensorTiles.TileColumns, (uint)tiles.TileRows, 1 };
        uint* steps = stackalloc uint[Dimensions] { 1, 1, 1 };
        byte* space = stackalloc byte[TensorMap.ByteLength + TensorMap.Alignment];
        // The driver wants an aligned address.
        var map = (TensorMap*)KernelLayout.Align((nint)space, TensorMap.Alignment);
        Check(
            CudaApi.TensorMapEncodeTiled(
                map, tiles.Type == DType.BFloat16 ? CudaTensorType.BFloat16 : CudaTensorType.Float16, Dimensions, (void*)tiles.Address, sizes, strides, tile, steps,
                0, CudaTensorSwizzle.Bytes128, CudaTensorPromotion.Bytes128, 0),
            $"describing {tiles}");
        return *map;
    }

    public IPtxEvent CreateEvent()
    {
        Bind();
        return new CudaEvent(this);
    }

    // Thread-local: other threads may go on to allocate meanwhile.
    public void BeginCapture()
    {
        Bind();
        Check(CudaApi.StreamBeginCapture(_stream, CudaCaptureMode.ThreadLocal), "beginning to record");
    }

    public IPtxGraph EndCapture()
    {
        Bind();
        nint graph = 0;
        Check(CudaApi.StreamEndCapture(_stream, &graph), "ending to record");
        try
        {
            nint executable;
            Check(CudaApi.GraphInstantiateWithFlags(&executable, graph, 0), "making a recorded graph executable");
            return new CudaGraph(this, executable);
        }
        finally
        {
            _ = CudaApi.GraphDestroy(graph);
        }
    }

    public void Dispose()
    {
        // The accelerator and its stream belong to the device.
    }

    /// <summary>Makes the accelerator's context the current one of this thread.</summary>
    internal void Bind() => _accelerator.Bind();

    /// <exception cref="DeviceException">The driver answered something else than success.</exception>
    internal static void Check(CudaResult result, string what)
    {
        if (result != CudaResult.Success) throw new DeviceException($"{what}: the CUDA driver says {CudaApi.Describe(result)}");
    }
}
