using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Delora.Core;

/// <summary>Moving numbers in and out.</summary>
public sealed partial class Tensor
{
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
        if (values.Length != ElementCount)
            throw new ShapeException($"{Name}: {values.Length} values for a tensor {Shape} of {ElementCount} elements.");
        if (DTypes.Of<T>() == DType)
        {
            Write(MemoryMarshal.AsBytes(values));
        }
        else if (typeof(T) == typeof(float) && DType == DType.Float64)
        {
            var wide = new double[values.Length];
            System.Numerics.Tensors.TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<T, float>(values), wide);
            Write(MemoryMarshal.AsBytes<double>(wide));
        }
        else if (typeof(T) == typeof(double) && DType == DType.Float32)
        {
            var narrow = new float[values.Length];
            System.Numerics.Tensors.TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<T, double>(values), narrow);
            Write(MemoryMarshal.AsBytes<float>(narrow));
        }
        else
        {
            throw new DTypeException($"{Name} {Shape} is {DType.Name}: it cannot take {DTypes.Of<T>().Name} values.");
        }
    }

    /// <summary>Overwrites all elements with those of a tensor of the same element count, on any device.</summary>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="DTypeException">The types do not agree (float32 and float64 are converted).</exception>
    public void CopyFrom(Tensor source)
    {
        if (source.Shape != Shape) throw new ShapeException($"CopyFrom: {source.Shape} does not fit {Shape} ('{source.Name}' into '{Name}').");
        if (source.Device == Device && source.DType == DType)
        {
            Device.CopyWithin(source.Block, source.Offset * DType.Size, Block, Offset * DType.Size, ByteLength);
            return;
        }
        switch (source.DType)
        {
            case DType.Float32: CopyFrom<float>(source.ToArray<float>()); break;
            case DType.Float64: CopyFrom<double>(source.ToArray<double>()); break;
            case DType.BFloat16: CopyFrom<BFloat16>(source.ToArray<BFloat16>()); break;
            case DType.Float16: CopyFrom<Half>(source.ToArray<Half>()); break;
            case DType.Int32: CopyFrom<int>(source.ToArray<int>()); break;
            case DType.Int64: CopyFrom<long>(source.ToArray<long>()); break;
            default: CopyFrom<byte>(source.ToArray<byte>()); break;
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
        if (destination.Length != ElementCount)
            throw new ShapeException($"{Name}: a span of {destination.Length} for a tensor {Shape} of {ElementCount} elements.");
        if (DTypes.Of<T>() == DType)
        {
            Device.CopyToHost(Block, Offset * DType.Size, MemoryMarshal.AsBytes(destination));
        }
        else if (typeof(T) == typeof(double) && DType == DType.Float32)
        {
            System.Numerics.Tensors.TensorPrimitives.ConvertTruncating<float, double>(ToArray<float>(), MemoryMarshal.Cast<T, double>(destination));
        }
        else if (typeof(T) == typeof(float) && DType == DType.Float64)
        {
            System.Numerics.Tensors.TensorPrimitives.ConvertTruncating<double, float>(ToArray<double>(), MemoryMarshal.Cast<T, float>(destination));
        }
        else
        {
            throw new DTypeException($"{Name} {Shape} is {DType.Name}: it cannot be read as {DTypes.Of<T>().Name}.");
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
        if (ElementCount > 0) Device.FillBytes(Block, Offset * DType.Size, ByteLength, 0);
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

    private void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > 0) Device.CopyFromHost(bytes, Block, checked(Offset * DType.Size));
    }
}

/// <summary>Marks the <see cref="Tensor.GradientState"/> of a tensor that an operation on a tape produced, as opposed to a parameter's value.</summary>
internal interface IRecorded;
