using Delora.Core;

namespace Delora.Kernels;

public static partial class CastKernel
{
    private static void ReferenceForward(Tensor x, Tensor y)
    {
        int count = checked((int)x.ElementCount);
        for (int i = 0; i < count; i++)
        {
            double value = x.DType switch
            {
                DType.BFloat16 => (float)x.Span<BFloat16>()[i],
                DType.Float16 => (double)x.Span<Half>()[i],
                _ => x.Span<double>()[i],
            };
            switch (y.DType)
            {
                case DType.BFloat16: y.Span<BFloat16>()[i] = (BFloat16)RoundToOdd(value); break;
                case DType.Float16: y.Span<Half>()[i] = (Half)value; break;
                default: y.Span<double>()[i] = value; break;
            }
        }
    }

    /// <summary>
    /// A float32 from which rounding to fewer bits gives what rounding the float64 would have given: cut off towards zero, the last bit
    /// set where
    /// anything was lost. Two roundings to nearest in a row could differ.
    /// </summary>
    private static float RoundToOdd(double value)
    {
        float nearest = (float)value;
        if (nearest == value || double.IsNaN(value)) return nearest;
        int bits = BitConverter.SingleToInt32Bits(nearest);
        if (Math.Abs((double)nearest) > Math.Abs(value)) bits--;
        return BitConverter.Int32BitsToSingle(bits | 1);
    }
}
