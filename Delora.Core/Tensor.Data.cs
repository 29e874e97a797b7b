using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Delora.Core;

/// <summary>Moving numbers in and out.</summary>
public sealed partial class Tensor
{
    /// <summary>Elements that are moved at a time: a span of bytes ends at 2 GiB, and a converted copy should stay small.</summary>
    private const int PieceElements = 2 << 20;

    /// <summary>
    /// A tensor with the given elements, row-major. float and double become the device's own floating-point type
    /// (<see cref="Device.FloatType"/>); every other type is stored as it is.
    /// </summary>
    /// <exception cref="ShapeException">The number of values is not the shape's.</exception>
    public static Tensor From<T>(ReadOnlySpan<T> values, Shape shape, Device device, [CallerMemberName] string name = "") where T : unmanaged
    {
        DType dtype = DTypes.Of<T>();
        return From(values, shape, dtype is DType.Float32 or DType.Float64 ? device.FloatType : dtype, device, name);
    }

    /// <inheritdoc cref="From{T}(ReadOnlySpan{T}, Shape, Device, string)"/>
    public static Tensor From<T>(T[] values, Shape shape, Device device, [CallerMemberName] string name = "") where T : unmanaged =>
        From((ReadOnlySpan<T>)values, shape, device, name);

    /// <summary>A tensor with the given elements, stored as <paramref name="dtype"/>.</summary>
    /// <exception cref="ShapeException">The number of values is not the shape's.</exception>
    /// <exception cref="DTypeException">The values cannot be stored as <paramref name="dtype"/>.</exception>
    public static Tensor From<T>(ReadOnlySpan<T> values, Shape shape, DType dtype, Device device, [CallerMemberName] string name = "") where T : unmanaged
    {
        if (values.Length != shape.ElementCount)
            throw new ShapeException($"{name}: {values.Length} values for a tensor {shape} of {shape.ElementCount} elements.");
        Tensor tensor = Empty(shape, dtype, device, name);
        try
        {
            tensor.CopyFrom(values);
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
        return tensor;
    }

    /// <summary>
    /// Integers that the host knows too, so that checking them waits for no device. Nothing but <see cref="SetIndices"/> may write them; no kernel does.
    /// </summary>
    /// <exception cref="ShapeException">The number of values is not the shape's.</exception>
    internal static Tensor FromIndices(ReadOnlySpan<int> values, Shape shape, Device device, [CallerMemberName] string name = "")
    {
        Tensor tensor = From(values, shape, DType.Int32, device, name);
        tensor._storage.Known = values.ToArray();
        return tensor;
    }

    /// <summary>Overwrites all integers of a tensor that is a whole storage, on the device and in what the host knows.</summary>
    /// <exception cref="ShapeException">The number of values is not the shape's.</exception>
    internal void SetIndices(ReadOnlySpan<int> values)
    {
        CopyFrom(values);
        _storage.Known = values.ToArray();
    }

    /// <summary>Says what an upload on its way will have written into a tensor that is a whole storage.</summary>
    internal void Remember(int[] values) => _storage.Known = values;

    /// <summary>The integers of a tensor of <see cref="FromIndices"/> or of a view of one; null for every other tensor.</summary>
    internal int[]? KnownStorage => _storage.Known;

    /// <inheritdoc cref="KnownStorage"/>
    internal ReadOnlySpan<int> Known => _storage.Known.AsSpan(checked((int)Offset), checked((int)ElementCount));

    /// <summary>A new tensor on <paramref name="device"/> with the same elements (float32 and float64 as the device's own floating-point type).</summary>
    /// <exception cref="GradientException">The tensor is part of a recorded computation: its gradient would be lost.</exception>
    public static Tensor CopyOf(Tensor source, Device device, string? name = null)
    {
        if (source.GradientState is IRecorded)
            throw new GradientException($"'{source.Name}' {source.Shape} is being recorded; a copy would lose its gradient. Copy it outside the tape, or detach it.");
        DType dtype = source.DType is DType.Float32 or DType.Float64 ? device.FloatType : source.DType;
        Tensor copy = Empty(source.Shape, dtype, device, name ?? source.Name);
        try
        {
            copy.CopyFrom(source);
        }
        catch
        {
            copy.Dispose();
            throw;
        }
        return copy;
    }

    /// <summary>Overwrites all elements. Between float and double the values are converted; every other pair of types must agree.</summary>
    /// <exception cref="ShapeException">The number of values is not this tensor's.</exception>
    /// <exception cref="DTypeException">The types do not agree.</exception>
    public void CopyFrom<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        ThrowIfDisposed();
        if (values.Length != ElementCount)
            throw new ShapeException($"{Name}: {values.Length} values for a tensor {Shape} of {ElementCount} elements.");
        DType given = DTypes.Of<T>();
        if (given != DType && !AreConvertible(given, DType))
            throw new DTypeException($"{Name} {Shape} is {DType.Name}: it cannot take {given.Name} values.");
        _storage.Known = null;
        byte[]? converted = null;
        for (int done = 0; done < values.Length;)
        {
            ReadOnlySpan<byte> piece = MemoryMarshal.AsBytes(values.Slice(done, Math.Min(PieceElements, values.Length - done)));
            Write(Converted(piece, given, DType, ref converted), done);
            done += piece.Length / given.Size;
        }
    }

    /// <summary>Overwrites all elements with those of a tensor of the same shape, on any device.</summary>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="DTypeException">The types do not agree (float32 and float64 are converted).</exception>
    public void CopyFrom(Tensor source)
    {
        ThrowIfDisposed();
        source.ThrowIfDisposed();
        if (source.Shape != Shape) throw new ShapeException($"CopyFrom: {source.Shape} does not fit {Shape} ('{source.Name}' into '{Name}').");
        _storage.Known = null;
        if (source.Device == Device && source.DType == DType)
        {
            Device.Copy(source.Block, source.Offset * DType.Size, Block, Offset * DType.Size, ByteLength);
            return;
        }
        if (source.DType != DType && !AreConvertible(source.DType, DType))
            throw new DTypeException(
                $"CopyFrom: '{source.Name}' {source.Shape} is {source.DType.Name}, '{Name}' {Shape} is {DType.Name}: "
                + "only float32 and float64 are converted.");
        // Through the host, piece by piece: no array as large as the tensor.
        byte[] bytes = new byte[Math.Min(PieceElements, ElementCount) * source.DType.Size];
        byte[]? converted = null;
        for (long done = 0; done < ElementCount;)
        {
            int count = (int)Math.Min(PieceElements, ElementCount - done);
            Span<byte> piece = bytes.AsSpan(0, count * source.DType.Size);
            source.Device.Read(source.Block, (source.Offset + done) * source.DType.Size, piece);
            Write(Converted(piece, source.DType, DType, ref converted), done);
            done += count;
        }
    }

    /// <summary>All elements as a new array, row-major. A float32 tensor can be read as double and a float64 one as float.</summary>
    /// <exception cref="DTypeException">The types do not agree.</exception>
    /// <exception cref="ShapeException">There are more elements than an array can hold.</exception>
    public T[] ToArray<T>() where T : unmanaged
    {
        if (ElementCount > Array.MaxLength) throw new ShapeException($"{Name} {Shape} has more elements than an array can hold.");
        var result = new T[ElementCount];
        CopyTo(result.AsSpan());
        return result;
    }

    /// <summary>Copies all elements out, row-major, after all work of the device before it.</summary>
    /// <exception cref="ShapeException">The span's length is not the element count.</exception>
    /// <exception cref="DTypeException">The types do not agree.</exception>
    public void CopyTo<T>(Span<T> destination) where T : unmanaged
    {
        ThrowIfDisposed();
        if (destination.Length != ElementCount)
            throw new ShapeException($"{Name}: a span of {destination.Length} for a tensor {Shape} of {ElementCount} elements.");
        DType wanted = DTypes.Of<T>();
        if (wanted != DType && !AreConvertible(DType, wanted))
            throw new DTypeException($"{Name} {Shape} is {DType.Name}: it cannot be read as {wanted.Name}.");
        byte[]? stored = wanted == DType ? null : new byte[Math.Min(PieceElements, destination.Length) * DType.Size];
        for (int done = 0; done < destination.Length;)
        {
            int count = Math.Min(PieceElements, destination.Length - done);
            Span<byte> piece = MemoryMarshal.AsBytes(destination.Slice(done, count));
            Span<byte> target = stored is null ? piece : stored.AsSpan(0, count * DType.Size);
            Device.Read(Block, (Offset + done) * DType.Size, target);
            if (stored is not null) FloatBytes.Convert(target, DType, piece, wanted);
            done += count;
        }
    }

    /// <summary>The only element of a one-element floating-point tensor, for instance a loss. Waits for the device.</summary>
    /// <exception cref="ShapeException">There is not exactly one element.</exception>
    public double ToScalar()
    {
        if (ElementCount != 1) throw new ShapeException($"ToScalar: '{Name}' {Shape} has {ElementCount} elements, not one.");
        return DType == DType.Float64 ? ToArray<double>()[0] : ToArray<float>()[0];
    }

    /// <summary>Sets every element to zero.</summary>
    public void FillZero()
    {
        _storage.Known = null;
        if (ElementCount > 0) Device.Fill(Block, Offset * DType.Size, ByteLength, 0);
    }

    /// <summary>The elements of a tensor in host memory, for kernels of the CPU and the reference device.</summary>
    /// <exception cref="DTypeException">The tensor has another element type.</exception>
    internal unsafe Span<T> Span<T>() where T : unmanaged => new(Pointer<T>(), checked((int)ElementCount));

    /// <summary>The first element of a tensor in host memory.</summary>
    /// <exception cref="DTypeException">The tensor has another element type.</exception>
    internal unsafe T* Pointer<T>() where T : unmanaged
    {
        if (DTypes.Of<T>() != DType) throw new DTypeException($"'{Name}' {Shape} is {DType.Name}, not {DTypes.Of<T>().Name}.");
        if (Block is not HostMemoryBlock host) throw new DeviceException($"'{Name}' {Shape} lies on {Device.Name}, not in host memory.");
        return (T*)host.Pointer + Offset;
    }

    private static bool AreConvertible(DType from, DType to) =>
        from is DType.Float32 or DType.Float64 && to is DType.Float32 or DType.Float64;

    /// <summary>
    /// The elements as <paramref name="to"/>; in <paramref name="buffer"/>, which is made at need, where that is another type.
    /// </summary>
    private static ReadOnlySpan<byte> Converted(ReadOnlySpan<byte> elements, DType from, DType to, ref byte[]? buffer)
    {
        if (from == to) return elements;
        int bytes = elements.Length / from.Size * to.Size;
        buffer ??= new byte[bytes]; // the first piece is the longest
        FloatBytes.Convert(elements, from, buffer.AsSpan(0, bytes), to);
        return buffer.AsSpan(0, bytes);
    }

    private void Write(ReadOnlySpan<byte> bytes, long firstElement) =>
        Device.Write(bytes, Block, (Offset + firstElement) * DType.Size);
}

/// <summary>Marks the <see cref="Tensor.GradientState"/> of a tensor that an operation on a tape produced, as opposed to a parameter's value.</summary>
internal interface IRecorded;
