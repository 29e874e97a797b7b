namespace Delora.Core;

/// <summary>The element types a <see cref="Tensor"/> can hold.</summary>
public enum DType : byte
{
    /// <summary>IEEE 754 single precision: the arithmetic type of the CPU and the GPU devices.</summary>
    Float32,

    /// <summary>IEEE 754 double precision: the arithmetic type of the reference device.</summary>
    Float64,

    /// <summary>Brain floating point: the upper half of a <see cref="Float32"/>. Storage only.</summary>
    BFloat16,

    /// <summary>IEEE 754 half precision. Storage only.</summary>
    Float16,

    /// <summary>32-bit signed integer (ids, labels, offsets).</summary>
    Int32,

    /// <summary>64-bit signed integer (ids and labels as files hold them).</summary>
    Int64,

    /// <summary>Bytes: packed weights.</summary>
    UInt8,
}

/// <summary>Size, name and .NET type of each <see cref="DType"/>.</summary>
public static class DTypes
{
    extension(DType dtype)
    {
        /// <summary>Bytes of one element.</summary>
        public int Size => dtype switch
        {
            DType.Float64 or DType.Int64 => 8,
            DType.Float32 or DType.Int32 => 4,
            DType.BFloat16 or DType.Float16 => 2,
            DType.UInt8 => 1,
            _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "not a DType"),
        };

        /// <summary>The name as the field writes it: <c>float32</c>, <c>bfloat16</c>, …</summary>
        public string Name => dtype switch
        {
            DType.Float32 => "float32",
            DType.Float64 => "float64",
            DType.BFloat16 => "bfloat16",
            DType.Float16 => "float16",
            DType.Int32 => "int32",
            DType.Int64 => "int64",
            DType.UInt8 => "uint8",
            _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "not a DType"),
        };

        /// <summary>Whether the type is one of the four floating-point types.</summary>
        public bool IsFloatingPoint => dtype is DType.Float32 or DType.Float64 or DType.BFloat16 or DType.Float16;
    }

    /// <summary>The <see cref="DType"/> that stores the .NET type <typeparamref name="T"/>.</summary>
    /// <exception cref="DTypeException">No dtype stores <typeparamref name="T"/>.</exception>
    public static DType Of<T>() where T : unmanaged
    {
        if (typeof(T) == typeof(float)) return DType.Float32;
        if (typeof(T) == typeof(double)) return DType.Float64;
        if (typeof(T) == typeof(BFloat16)) return DType.BFloat16;
        if (typeof(T) == typeof(Half)) return DType.Float16;
        if (typeof(T) == typeof(int)) return DType.Int32;
        if (typeof(T) == typeof(long)) return DType.Int64;
        if (typeof(T) == typeof(byte)) return DType.UInt8;
        throw new DTypeException($"No dtype stores {typeof(T).Name}; known are float, double, BFloat16, Half, int, long, byte.");
    }
}
