using System.Runtime.CompilerServices;

namespace Delora.Core;

/// <summary>
/// A dense array of numbers on a device: contiguous, row-major. It has no arithmetic of its own: the operations are extension methods in
/// <c>Delora.Autograd.Functions</c>, because an instance method would win over an extension and the tape would lose it in silence.
/// </summary>
/// <remarks>
/// Made inside a <see cref="TensorScope"/> it belongs to the scope; otherwise whoever makes it disposes it. Views share the memory of their
/// tensor and keep it alive.
/// </remarks>
public sealed partial class Tensor : IDisposable
{
    private readonly Storage _storage;
    private int _disposed;

    private Tensor(Storage storage, long offset, Shape shape, DType dtype, string name)
    {
        _storage = storage;
        Offset = offset;
        Shape = shape;
        DType = dtype;
        Name = name;
        TensorScope.AddToCurrent(this);
    }

    /// <summary>The dimensions.</summary>
    public Shape Shape { get; }

    /// <summary>The element type.</summary>
    public DType DType { get; }

    /// <summary>Where the elements lie.</summary>
    public Device Device => _storage.Device;

    /// <summary>What the tensor was made for; appears in messages and leak reports.</summary>
    public string Name { get; }

    /// <summary>Number of elements.</summary>
    public long ElementCount => Shape.ElementCount;

    /// <summary>Bytes of the elements.</summary>
    public long ByteLength => ElementCount * DType.Size;

    /// <summary>Whether the memory has been given back.</summary>
    public bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    /// <summary>First element within the storage, in elements.</summary>
    internal long Offset { get; }

    /// <summary>The device memory that holds the elements.</summary>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    internal MemoryBlock Block
    {
        get
        {
            ThrowIfDisposed();
            return _storage.Block;
        }
    }

    /// <summary>The scope that will free this tensor; null where the maker does.</summary>
    internal TensorScope? Scope { get; set; }

    internal int ScopeSlot { get; set; }

    /// <summary>The type that the numbers had in the file they were read from; null where they come from elsewhere.</summary>
    internal DType? TypeInFile { get; set; }

    /// <summary>What Delora.Autograd knows about this tensor: null where it needs no gradient.</summary>
    internal object? GradientState { get; set; }

    /// <summary>Memory that nobody has written yet.</summary>
    /// <param name="shape">Dimensions.</param>
    /// <param name="dtype">Element type.</param>
    /// <param name="device">Where.</param>
    /// <param name="name">What for; shown by leak reports. The calling method where nothing is given.</param>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public static Tensor Empty(Shape shape, DType dtype, Device device, [CallerMemberName] string name = "")
    {
        long bytes;
        try
        {
            bytes = checked(shape.ElementCount * dtype.Size);
        }
        catch (OverflowException)
        {
            throw new ShapeException($"{name}: {shape} of {dtype.Name} has more than 2^63 bytes.");
        }
        return new Tensor(new Storage(device, bytes, name, shape, dtype), 0, shape, dtype, name);
    }

    /// <summary>All elements zero.</summary>
    public static Tensor Zeros(Shape shape, DType dtype, Device device, [CallerMemberName] string name = "")
    {
        Tensor tensor = Empty(shape, dtype, device, name);
        try
        {
            tensor.FillZero();
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
        return tensor;
    }

    /// <summary>Returns the memory to the device's allocator, at once unless a view still needs it. Disposing twice is harmless.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        Scope?.Remove(this);
        _storage.Release();
    }

    /// <summary>For instance <c>logits [8, 64] float32 on CPU</c>.</summary>
    public override string ToString() => $"{Name} {Shape} {DType.Name} on {Device.Name}";

    /// <summary>
    /// The same memory under another shape, from element <paramref name="elementOffset"/> on. Internal on purpose: Functions.Reshape and
    /// Functions.Slice are the operations that the tape knows.
    /// </summary>
    internal Tensor View(Shape shape, long elementOffset = 0)
    {
        ThrowIfDisposed();
        if (elementOffset < 0 || checked(elementOffset + shape.ElementCount) > ElementCount)
            throw new ShapeException($"View: {shape} from element {elementOffset} does not lie within {Shape} ({ElementCount} elements).");
        if (!_storage.TryAddReference()) ThrowIfDisposed();
        return new Tensor(_storage, checked(Offset + elementOffset), shape, DType, Name);
    }

    /// <summary>Takes the tensor out of its scope: from now on the caller disposes it.</summary>
    internal Tensor Own()
    {
        Scope?.Remove(this);
        return this;
    }

    /// <summary>Hands the tensor to a scope.</summary>
    internal Tensor MoveTo(TensorScope scope)
    {
        Scope?.Remove(this);
        scope.Add(this);
        return this;
    }

    /// <summary>Whether the two have an element of memory in common.</summary>
    internal bool Overlaps(Tensor other) =>
        _storage == other._storage && ElementCount > 0 && other.ElementCount > 0
        && Offset < other.Offset + other.ElementCount && other.Offset < Offset + ElementCount;

    internal void ThrowIfDisposed()
    {
        if (IsDisposed)
            throw new ObjectDisposedException(Name, $"The tensor '{Name}' {Shape} was disposed, or the scope or tape that owned it was closed.");
    }
}
