using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Delora.Core;

/// <summary>Floating-point numbers as the bytes of a file, little-endian.</summary>
internal static class FloatBytes
{
    /// <summary>Converts all elements. Widening is exact; float64 to float32 rounds to nearest.</summary>
    /// <param name="source">Elements of type <paramref name="from"/>.</param>
    /// <param name="from">Any floating-point type.</param>
    /// <param name="destination">As many elements of type <paramref name="to"/>.</param>
    /// <param name="to">float32 or float64.</param>
    internal static void Convert(ReadOnlySpan<byte> source, DType from, Span<byte> destination, DType to)
    {
        if (from == to)
        {
            source.CopyTo(destination);
        }
        else if (to == DType.Float32)
        {
            Span<float> floats = MemoryMarshal.Cast<byte, float>(destination);
            switch (from)
            {
                case DType.Float64: TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, double>(source), floats); break;
                case DType.Float16: TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, Half>(source), floats); break;
                case DType.BFloat16: Widen(MemoryMarshal.Cast<byte, BFloat16>(source), floats); break;
                default: throw new DTypeException($"{from.Name} is not a floating-point type.");
            }
        }
        else if (to == DType.Float64)
        {
            Span<double> doubles = MemoryMarshal.Cast<byte, double>(destination);
            switch (from)
            {
                case DType.Float32: TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, float>(source), doubles); break;
                case DType.Float16: TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, Half>(source), doubles); break;
                case DType.BFloat16: Widen(MemoryMarshal.Cast<byte, BFloat16>(source), doubles); break;
                default: throw new DTypeException($"{from.Name} is not a floating-point type.");
            }
        }
        else
        {
            throw new DTypeException($"Numbers are converted to float32 or float64, not to {to.Name}.");
        }
    }

    /// <summary>How many elements are NaN or infinite; 0 for the integers.</summary>
    internal static int CountNonFinite(ReadOnlySpan<byte> bytes, DType dtype) => dtype switch
    {
        DType.Float32 => Count(MemoryMarshal.Cast<byte, float>(bytes)),
        DType.Float64 => Count(MemoryMarshal.Cast<byte, double>(bytes)),
        DType.Float16 => Count(MemoryMarshal.Cast<byte, Half>(bytes)),
        DType.BFloat16 => CountBFloat16(MemoryMarshal.Cast<byte, ushort>(bytes)),
        _ => 0,
    };

    private static int Count<T>(ReadOnlySpan<T> values) where T : INumberBase<T>
    {
        if (values.IsEmpty || TensorPrimitives.IsFiniteAll(values)) return 0;
        int count = 0;
        foreach (T value in values)
            if (!T.IsFinite(value)) count++;
        return count;
    }

    private static int CountBFloat16(ReadOnlySpan<ushort> bits)
    {
        var exponent = Vector256.Create((ushort)0x7F80);
        int count = 0, i = 0;
        for (; i + 16 <= bits.Length; i += 16)
            count += BitOperations.PopCount(
                Vector256.Equals(Vector256.Create(bits.Slice(i, 16)) & exponent, exponent).ExtractMostSignificantBits());
        for (; i < bits.Length; i++) count += (bits[i] & 0x7F80) == 0x7F80 ? 1 : 0;
        return count;
    }

    /// <summary>Exact widening of bfloat16 values, 16 at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Widen(ReadOnlySpan<BFloat16> source, Span<float> destination)
    {
        ReadOnlySpan<ushort> bits = MemoryMarshal.Cast<BFloat16, ushort>(source);
        destination = destination[..bits.Length];
        int i = 0;
        for (; i + 16 <= bits.Length; i += 16)
        {
            (Vector256<uint> lower, Vector256<uint> upper) = Vector256.Widen(Vector256.Create(bits.Slice(i, 16)));
            (lower << 16).AsSingle().CopyTo(destination[i..]);
            (upper << 16).AsSingle().CopyTo(destination[(i + 8)..]);
        }
        for (; i < bits.Length; i++) destination[i] = source[i];
    }

    private static void Widen(ReadOnlySpan<BFloat16> source, Span<double> destination)
    {
        for (int i = 0; i < source.Length; i++) destination[i] = source[i];
    }
}
