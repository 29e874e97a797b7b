using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>What encoding a row of a weight came to.</summary>
internal struct RowError
{
    public double SquaredError;
    public double SquaredNorm;
    public double Largest;

    /// <summary>Numbers that the storage cannot hold: not finite where there is a scale, or finite and beyond a 16-bit type's range.</summary>
    public long Refused;
}

/// <summary>
/// Where the codes of a part of a row lie: code k at <c>At + k·Stride</c>, as number <c>First + k·Step</c> of <c>Count</c> that lie together there.
/// </summary>
internal unsafe struct CodePlace
{
    public byte* At;
    public nint Stride;
    public int First;
    public int Step;
    public int Count;
}

/// <summary>Rows of a weight to codes and back, one number at a time, for every layout.</summary>
internal static unsafe class WeightRows
{
    /// <summary>Sets the scales of a row: one for each block.</summary>
    public static void SetScales<TCodec>(float* row, int length, float* scales, nint stride) where TCodec : struct, IWeightCodec
    {
        int block = TCodec.Block(length);
        for (int start = 0; block > 0 && start < length; start += block, scales += stride)
        {
            float largest = 0;
            for (int k = start; k < Math.Min(length, start + block); k++) largest = MathF.Max(largest, MathF.Abs(row[k]));
            *scales = TCodec.Scale(largest);
        }
    }

    /// <summary>Encodes numbers <paramref name="start"/> … of a row whose scales are set.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Encode<TCodec>(
        float* row, int length, int start, int count, float* scales, nint scaleStride, CodePlace place, ref RowError error)
        where TCodec : struct, IWeightCodec
    {
        int block = TCodec.Block(length);
        for (int k = 0; k < count;)
        {
            (int end, float scale) = Run(block, start, k, count, scales, scaleStride);
            for (; k < end; k++)
            {
                float value = row[start + k];
                uint code = TCodec.Encode(value, scale);
                TCodec.Put(place.At + k * place.Stride, place.First + k * place.Step, place.Count, code);
                float kept = TCodec.Decode(code, scale);
                if (!float.IsFinite(value) || !float.IsFinite(kept))
                {
                    if (block > 0 || float.IsFinite(value)) error.Refused++;
                    continue;
                }
                double off = (double)value - kept;
                error.SquaredError += off * off;
                error.SquaredNorm += (double)value * value;
                error.Largest = Math.Max(error.Largest, Math.Abs(off));
            }
        }
    }

    /// <summary>Decodes numbers <paramref name="start"/> … of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Decode<TCodec>(
        float* row, nint rowStride, int length, int start, int count, float* scales, nint scaleStride, CodePlace place)
        where TCodec : struct, IWeightCodec
    {
        int block = TCodec.Block(length);
        for (int k = 0; k < count;)
        {
            (int end, float scale) = Run(block, start, k, count, scales, scaleStride);
            for (; k < end; k++)
                row[(start + k) * rowStride] =
                    TCodec.Decode(TCodec.Get(place.At + k * place.Stride, place.First + k * place.Step, place.Count), scale);
        }
    }

    /// <summary>Refuses a weight of which numbers cannot be kept.</summary>
    /// <exception cref="NonFiniteException">There are some.</exception>
    public static void RefuseLoss(long count, Shape shape, string name, FrozenStorage storage)
    {
        if (count > 0)
            throw new NonFiniteException(
                $"'{name}' {shape}: {count} numbers cannot be kept as {storage.Name}: "
                + (storage.IsQuantized ? "they are, or share a scale with, NaN or infinity." : "they are beyond its range."));
    }

    /// <summary>The numbers from k on that share a scale.</summary>
    private static (int End, float Scale) Run(int block, int start, int k, int count, float* scales, nint scaleStride)
    {
        if (block == 0) return (count, 1);
        int number = (start + k) / block;
        return ((int)Math.Min(count, (long)(number + 1) * block - start), scales[number * scaleStride]);
    }
}
