using System.Collections.Concurrent;
using Delora.Core;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Delora.Kernels;

/// <summary>
/// Any ILGPU accelerator: a CUDA card, an OpenCL device, or ILGPU's simulator, which checks what a kernel means but is far too slow for work. All
/// work goes through one stream, in order. On CUDA, ILGPU gives the context, the memory and the stream; kernels, copies and fills go through
/// <see cref="IPtxDriver"/>.
/// </summary>
public sealed partial class GpuDevice : Device
{
    private readonly Context _context;
    private readonly AcceleratorStream _stream;
    private readonly IPtxDriver? _ptx;
    private readonly PtxCompiler? _compiler;
    private readonly GpuPlannedBuffer? _planned;

    // Every block that was not given back. A tensor that is never disposed dies together with its block, and ILGPU's finalizer would free the memory that
    // the tensor's own gives to the next.
    private readonly ConcurrentDictionary<GpuMemoryBlock, bool> _blocks = [];

    /// <summary>A device on an accelerator that is now its own. It runs PTX through the driver, where there is one.</summary>
    internal GpuDevice(
        Context context, Accelerator accelerator, DeviceKind kind, string name, Func<AcceleratorStream, IPtxDriver>? driver = null) : base(name)
    {
        _context = context;
        Kind = kind;
        Accelerator = accelerator;
        // Not the default stream: the null stream of CUDA cannot be captured into a graph.
        _stream = accelerator.CreateStream();
        _ptx = driver?.Invoke(_stream);
        Target = _ptx?.Target;
        _compiler = Target is null ? null : new PtxCompiler(Target);
        MaxThreadsPerGroup = Target?.MaxThreads ?? accelerator.MaxNumThreadsPerGroup;
        MaxSharedBytesPerGroup = Target?.MaxSharedBytes ?? accelerator.MaxSharedMemoryPerGroup;
        HasFloat64 = accelerator.Capabilities is not CLCapabilityContext { Float64: false };
    }

    /// <summary>
    /// A device of the kind CUDA whose PTX runs on the host, as <paramref name="driver"/> interprets it, and whose memory is the host's.
    /// </summary>
    internal static GpuDevice Interpreting(IPtxDriver driver, string name)
    {
        Context context = Context.Create(builder => builder.CPU());
        return new GpuDevice(context, context.CreateCPUAccelerator(0), DeviceKind.Cuda, name, _ => driver);
    }

    private GpuDevice(GpuDevice like) : base(like.Name, planning: true)
    {
        (_context, _stream, Kind, Accelerator, Target) = (like._context, like._stream, like.Kind, like.Accelerator, like.Target);
        (MaxThreadsPerGroup, MaxSharedBytesPerGroup, HasFloat64) = (like.MaxThreadsPerGroup, like.MaxSharedBytesPerGroup, like.HasFloat64);
        // What is rounded before a product is a temporary.
        (MatMulPrecision, Warpgroups) = (like.MatMulPrecision, like.Warpgroups);
        _planned = new GpuPlannedBuffer(Accelerator);
    }

    /// <summary>CUDA, OpenCL or the simulator.</summary>
    public DeviceKind Kind { get; }

    /// <summary>ILGPU's accelerator. What kernels may ask of the device is here, not there: the accelerator may be that of the host.</summary>
    public Accelerator Accelerator { get; }

    /// <summary>The most threads of a group.</summary>
    public int MaxThreadsPerGroup { get; }

    /// <summary>The most bytes of shared memory of a group, static and dynamic together.</summary>
    public int MaxSharedBytesPerGroup { get; }

    /// <summary>Whether kernels can compute in float64.</summary>
    public bool HasFloat64 { get; }

    /// <summary>What the CUDA card can do; null for other kinds.</summary>
    internal PtxTarget? Target { get; }

    /// <summary>The CUDA driver; null for other kinds.</summary>
    internal IPtxDriver? Driver => _ptx;

    /// <inheritdoc/>
    public override DType FloatType => DType.Float32;

    /// <inheritdoc/>
    public override long MemoryBytes =>
        Accelerator is CPUAccelerator ? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes : Accelerator.MemorySize;

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
        if (IsPlanning) return;
        if (_ptx is null) Guarded("waiting for the device", _stream.Synchronize);
        else Guarded("waiting for the device", Wait);
    }

    /// <summary>The elements of a tensor on this device, as kernels take them.</summary>
    /// <exception cref="DTypeException">The tensor has another element type.</exception>
    internal ArrayView<T> View<T>(Tensor tensor) where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (DTypes.Of<T>() != tensor.DType) throw new DTypeException($"'{tensor.Name}' {tensor.Shape} is {tensor.DType.Name}, not {DTypes.Of<T>().Name}.");
        if (_planned is not null) return new ArrayView<T>(_planned, 0, tensor.ElementCount);
        return Touched(tensor.Block).View.BaseView.Cast<T>().SubView(tensor.Offset, tensor.ElementCount);
    }

    internal override void SynchronizeToFree() => GpuGraph.Aside("it gives memory back to the device", Synchronize);

    /// <inheritdoc/>
    protected internal override MemoryBlock AllocateBlock(long byteLength)
    {
        GpuGraph.Recording(this)?.Waits("it needs more memory than it did before");
        try
        {
            GpuMemoryBlock block = new(Accelerator.Allocate1D<byte>(byteLength));
            _blocks[block] = true;
            return block;
        }
        catch (Exception error) when (error is AcceleratorException or OutOfMemoryException)
        {
            throw new DeviceMemoryException($"{Name} refused {byteLength} bytes: {error.Message}", byteLength, Memory.Statistics.BytesInUse, error);
        }
    }

    /// <inheritdoc/>
    protected internal override void FreeBlock(MemoryBlock block)
    {
        _blocks.TryRemove((GpuMemoryBlock)block, out _);
        CleanUp(((GpuMemoryBlock)block).Buffer);
    }

    /// <inheritdoc/>
    protected internal override void CopyFromHost(ReadOnlySpan<byte> source, MemoryBlock destination, long byteOffset)
    {
        if (source.IsEmpty) return;
        try
        {
            ArrayView<byte> slice = Slice(destination, byteOffset, source.Length);
            if (_ptx is not null)
            {
                Upload(source, slice);
                return;
            }
            slice.CopyFromCPU(_stream, source);
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
            ArrayView<byte> slice = Slice(source, byteOffset, destination.Length);
            if (_ptx is not null)
            {
                Download(slice, destination);
                return;
            }
            slice.CopyToCPU(_stream, destination);
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
        {
            ArrayView<byte> from = Slice(source, sourceOffset, byteLength), to = Slice(destination, destinationOffset, byteLength);
            if (_ptx is null) from.CopyTo(_stream, to);
            else lock (_lock) _ptx.Copy(Address(from), Address(to), byteLength);
        });
    }

    /// <inheritdoc/>
    protected internal override void FillBytes(MemoryBlock block, long byteOffset, long byteLength, byte value)
    {
        if (byteLength == 0) return;
        Guarded($"filling {byteLength} bytes", () =>
        {
            ArrayView<byte> slice = Slice(block, byteOffset, byteLength);
            if (_ptx is null) slice.MemSet(_stream, value);
            else lock (_lock) _ptx.Fill(Address(slice), byteLength, value);
        });
    }

    /// <inheritdoc/>
    protected override void DisposeDevice()
    {
        if (_planned is not null)
        {
            _planned.Dispose();
            return;
        }
        DisposePtx();
        CleanUp(_stream);
        CleanUp(Accelerator);
        _context.Dispose();
    }

    /// <summary>After a fault of a CUDA kernel every call fails, and who cleans up must get to the end: the error has been told, or is on its way.</summary>
    private void CleanUp(IDisposable owned)
    {
        try
        {
            owned.Dispose();
        }
        catch (AcceleratorException) when (_ptx is not null)
        {
            // What it held goes with the context.
        }
    }

    private ArrayView<byte> Slice(MemoryBlock block, long offset, long length)
    {
        // ILGPU frees what its accelerator gave when that is disposed, also under a tensor that is still alive.
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        return Touched(block).View.BaseView.SubView(offset, length);
    }

    private MemoryBuffer1D<byte, Stride1D.Dense> Touched(MemoryBlock block)
    {
        if (_ptx is not null) GpuGraph.Current(this)?.Touch(block);
        return ((GpuMemoryBlock)block).Buffer;
    }
}

/// <summary>A block of an ILGPU accelerator's memory.</summary>
internal sealed class GpuMemoryBlock(MemoryBuffer1D<byte, Stride1D.Dense> buffer) : MemoryBlock(buffer.LengthInBytes)
{
    internal MemoryBuffer1D<byte, Stride1D.Dense> Buffer { get; } = buffer;
}
