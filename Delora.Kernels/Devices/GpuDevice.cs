using Delora.Core;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;

namespace Delora.Kernels;

/// <summary>
/// Any ILGPU accelerator: a CUDA card, an OpenCL device, or ILGPU's simulator, which checks what a kernel means but is far too slow for work. All
/// work goes through one stream, in order.
/// </summary>
public sealed partial class GpuDevice : Device
{
    private readonly Context _context;
    private readonly AcceleratorStream _stream;
    private readonly GpuPlannedBuffer? _planned;

    internal GpuDevice(Context context, Accelerator accelerator, DeviceKind kind, string name) : base(name)
    {
        _context = context;
        Kind = kind;
        Accelerator = accelerator;
        // Not the default stream: the null stream of CUDA cannot be captured into a graph.
        _stream = accelerator.CreateStream();
    }

    private GpuDevice(GpuDevice like) : base(like.Name, planning: true)
    {
        (_context, _stream, Kind, Accelerator) = (like._context, like._stream, like.Kind, like.Accelerator);
        _planned = new GpuPlannedBuffer(Accelerator);
    }

    /// <summary>CUDA, OpenCL or the simulator.</summary>
    public DeviceKind Kind { get; }

    /// <summary>ILGPU's accelerator.</summary>
    public Accelerator Accelerator { get; }

    /// <inheritdoc/>
    public override DType FloatType => DType.Float32;

    /// <inheritdoc/>
    public override long MemoryBytes =>
        Kind == DeviceKind.Simulator ? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes : Accelerator.MemorySize;

    /// <inheritdoc/>
    public override long AvailableMemoryBytes => Accelerator switch
    {
        CudaAccelerator cuda => cuda.GetFreeMemory() + Memory.Statistics.BytesCached,
        CPUAccelerator => HostMemory.AvailableBytes + Memory.Statistics.BytesCached,
        _ => base.AvailableMemoryBytes,
    };

    /// <summary>See <see cref="Devices.Planning"/>.</summary>
    internal static GpuDevice Planning(GpuDevice like) => new(like);

    /// <inheritdoc/>
    /// <exception cref="DeviceException">Something given to the device before has failed.</exception>
    public override void Synchronize()
    {
        if (!IsPlanning) Guarded("waiting for the device", _stream.Synchronize);
    }

    /// <summary>The elements of a tensor on this device, as kernels take them.</summary>
    /// <exception cref="DTypeException">The tensor has another element type.</exception>
    internal ArrayView<T> View<T>(Tensor tensor) where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (DTypes.Of<T>() != tensor.DType) throw new DTypeException($"'{tensor.Name}' {tensor.Shape} is {tensor.DType.Name}, not {DTypes.Of<T>().Name}.");
        if (_planned is not null) return new ArrayView<T>(_planned, 0, tensor.ElementCount);
        return ((GpuMemoryBlock)tensor.Block).Buffer.View.BaseView.Cast<T>().SubView(tensor.Offset, tensor.ElementCount);
    }

    /// <inheritdoc/>
    protected internal override MemoryBlock AllocateBlock(long byteLength)
    {
        try
        {
            return new GpuMemoryBlock(Accelerator.Allocate1D<byte>(byteLength));
        }
        catch (Exception error) when (error is AcceleratorException or OutOfMemoryException)
        {
            throw new DeviceMemoryException($"{Name} refused {byteLength} bytes: {error.Message}", byteLength, Memory.Statistics.BytesInUse, error);
        }
    }

    /// <inheritdoc/>
    protected internal override void FreeBlock(MemoryBlock block) => ((GpuMemoryBlock)block).Buffer.Dispose();

    /// <inheritdoc/>
    protected internal override void CopyFromHost(ReadOnlySpan<byte> source, MemoryBlock destination, long byteOffset)
    {
        if (source.IsEmpty) return;
        try
        {
            Slice(destination, byteOffset, source.Length).CopyFromCPU(_stream, source);
            _stream.Synchronize();
        }
        catch (Exception error)
        {
            throw Failed($"copying {source.Length} bytes to the device", error);
        }
    }

    /// <inheritdoc/>
    protected internal override void CopyToHost(MemoryBlock source, long byteOffset, Span<byte> destination)
    {
        if (destination.IsEmpty) return;
        try
        {
            Slice(source, byteOffset, destination.Length).CopyToCPU(_stream, destination);
            _stream.Synchronize();
        }
        catch (Exception error)
        {
            throw Failed($"copying {destination.Length} bytes from the device", error);
        }
    }

    /// <inheritdoc/>
    protected internal override void CopyWithin(MemoryBlock source, long sourceOffset, MemoryBlock destination, long destinationOffset, long byteLength)
    {
        if (byteLength == 0) return;
        Guarded($"copying {byteLength} bytes on the device", () =>
            Slice(source, sourceOffset, byteLength).CopyTo(_stream, Slice(destination, destinationOffset, byteLength)));
    }

    /// <inheritdoc/>
    protected internal override void FillBytes(MemoryBlock block, long byteOffset, long byteLength, byte value)
    {
        if (byteLength == 0) return;
        Guarded($"filling {byteLength} bytes", () => Slice(block, byteOffset, byteLength).MemSet(_stream, value));
    }

    /// <inheritdoc/>
    protected override void DisposeDevice()
    {
        if (_planned is not null)
        {
            _planned.Dispose();
            return;
        }
        _stream.Dispose();
        Accelerator.Dispose();
        _context.Dispose();
    }

    private ArrayView<byte> Slice(MemoryBlock block, long offset, long length)
    {
        // ILGPU frees what its accelerator gave when that is disposed, also under a tensor that is still alive.
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        return ((GpuMemoryBlock)block).Buffer.View.BaseView.SubView(offset, length);
    }
}

/// <summary>A block of an ILGPU accelerator's memory.</summary>
internal sealed class GpuMemoryBlock(MemoryBuffer1D<byte, Stride1D.Dense> buffer) : MemoryBlock(buffer.LengthInBytes)
{
    internal MemoryBuffer1D<byte, Stride1D.Dense> Buffer { get; } = buffer;
}
