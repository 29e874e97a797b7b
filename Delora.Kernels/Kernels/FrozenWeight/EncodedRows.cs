using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Quantized weights row by row: a row's codes follow each other, two of 4 bits in a byte, the first in its low bits. Rows have whole groups of <see
/// cref="Together"/> codes, the last of them zeros where there are no numbers, so that GPU kernels read a group at once.
/// </summary>
internal static unsafe class EncodedRows
{
    /// <summary>Numbers that are encoded at a time.</summary>
    private const int PieceElements = 1 << 20;

    /// <summary>Codes that lie in as many bytes as each has bits.</summary>
    internal const int Together = 8;

    /// <summary>Bytes of a row's codes.</summary>
    public static int RowBytes(FrozenStorage storage, int @in) => checked((int)(((long)@in + Together - 1) / Together * StoredPanels.BitsOf(storage)));

    /// <summary>Encodes a weight of any device on the host, some rows at a time.</summary>
    /// <param name="weight">[out, in]; in float64 it is rounded to float32 first.</param>
    /// <param name="storage">A storage of 16 bits, or a quantized one.</param>
    /// <param name="codes">Output: [out, in] of 16 bits, or [out, <see cref="RowBytes"/>].</param>
    /// <param name="scales">Output: [out, scales of a row]; null where there are none.</param>
    /// <exception cref="NonFiniteException">A number cannot be kept.</exception>
    public static WeightError Write(Tensor weight, FrozenStorage storage, Tensor codes, Tensor? scales)
    {
        int rows = weight.Shape[0], @in = weight.Shape[1], width = codes.Shape[1], scaleCount = scales?.Shape[1] ?? 0;
        int piece = Math.Clamp(PieceElements / Math.Max(1, @in), 1, Math.Max(1, rows));
        RowError error = default;
        for (int start = 0; start < rows && @in > 0; start += piece)
        {
            int count = Math.Min(piece, rows - start);
            using Tensor part = weight.View([count, @in], (long)start * @in);
            float[] values = part.ToArray<float>();
            byte[] encoded = new byte[(long)count * width * codes.DType.Size];
            float[] factors = new float[Math.Max(1, count * scaleCount)];
            fixed (float* value = values, factor = factors)
            fixed (byte* code = encoded)
                for (int i = 0; i < count; i++)
                    EncodeRow(storage, value + (long)i * @in, @in, factor + i * scaleCount, code + (long)i * width * codes.DType.Size, ref error);
            codes.Device.Write(encoded, codes.Block, (codes.Offset + (long)start * width) * codes.DType.Size);
            if (scales is null) continue;
            using Tensor target = scales.View([count, scaleCount], (long)start * scaleCount);
            target.CopyFrom<float>(factors);
        }
        WeightRows.RefuseLoss(error.Refused, weight.Shape, weight.Name, storage);
        return new WeightError(error.SquaredError, error.SquaredNorm, error.Largest);
    }

    /// <summary>The numbers of a quantized row.</summary>
    public static void Decode(FrozenStorage storage, byte* codes, float* scales, int @in, float* row)
    {
        CodePlace place = new() { At = codes, Step = 1, Count = @in };
        if (storage == FrozenStorage.Int8) WeightRows.Decode<Int8Codec>(row, 1, @in, 0, @in, scales, 1, place);
        else WeightRows.Decode<Nf4PairCodec>(row, 1, @in, 0, @in, scales, 1, place);
    }

    private static void EncodeRow(FrozenStorage storage, float* row, int @in, float* scales, byte* codes, ref RowError error)
    {
        switch (storage)
        {
            case FrozenStorage.BFloat16: Encode<BFloat16Codec>(row, @in, scales, codes, ref error); break;
            case FrozenStorage.Float16: Encode<Float16Codec>(row, @in, scales, codes, ref error); break;
            case FrozenStorage.Int8: Encode<Int8Codec>(row, @in, scales, codes, ref error); break;
            default: Encode<Nf4PairCodec>(row, @in, scales, codes, ref error); break;
        }
    }

    private static void Encode<TCodec>(float* row, int @in, float* scales, byte* codes, ref RowError error) where TCodec : struct, IWeightCodec
    {
        WeightRows.SetScales<TCodec>(row, @in, scales, 1);
        WeightRows.Encode<TCodec>(row, @in, 0, @in, scales, 1, new CodePlace { At = codes, Step = 1, Count = @in }, ref error);
    }
}
