using CsCheck;
using Delora.Core;

namespace Delora.Tests.Core;

public class BFloat16Tests
{
    [Fact]
    public void Every_pattern_survives_widening_and_narrowing()
    {
        for (int bits = 0; bits <= ushort.MaxValue; bits++)
        {
            var value = BFloat16.FromBits((ushort)bits);
            var again = (BFloat16)(float)value;
            // A signaling NaN comes back quiet; everything else comes back as it was.
            if (float.IsNaN(value)) Assert.Equal(bits | 0x0040, again.Bits);
            else Assert.Equal(bits, again.Bits);
        }
    }

    [Fact]
    public void Narrowing_rounds_to_nearest_ties_to_even() =>
        Gen.UInt.Select(BitConverter.UInt32BitsToSingle).Where(float.IsFinite)
            .Sample(value => Assert.Equal(Nearest(value), (float)(BFloat16)value));

    [Theory]
    [InlineData(0x3F808000u, 0x3F80)] // halfway, lower is even
    [InlineData(0x3F818000u, 0x3F82)] // halfway, upper is even
    [InlineData(0x3F808001u, 0x3F81)]
    [InlineData(0x3F807FFFu, 0x3F80)]
    [InlineData(0x00008000u, 0x0000)] // half of the smallest subnormal number
    [InlineData(0x00008001u, 0x0001)]
    [InlineData(0x7F7F7FFFu, 0x7F7F)] // just below the half-way point to infinity
    [InlineData(0x7F7F8000u, 0x7F80)]
    [InlineData(0xFF7FFFFFu, 0xFF80)]
    [InlineData(0x7F800000u, 0x7F80)]
    [InlineData(0xFF800000u, 0xFF80)]
    [InlineData(0x80000000u, 0x8000)]
    [InlineData(0x7F800001u, 0x7FC0)] // a NaN whose payload lies in the lost half stays a NaN
    [InlineData(0xFFFFFFFFu, 0xFFFF)]
    public void Edges(uint bits, int expected) => Assert.Equal(expected, ((BFloat16)BitConverter.UInt32BitsToSingle(bits)).Bits);

    [Fact]
    public void Equality_is_of_values()
    {
        BFloat16 zero = BFloat16.FromBits(0), minusZero = BFloat16.FromBits(0x8000), nan = BFloat16.FromBits(0x7FC0);
        Assert.True(zero == minusZero && zero.GetHashCode() == minusZero.GetHashCode());
        Assert.True(nan == BFloat16.FromBits(0xFFC1) && nan != zero);
        Assert.Equal("-1.5", ((BFloat16)(-1.5f)).ToString());
    }

    /// <summary>The nearest multiple of 2^(e−7), in exact double arithmetic that knows nothing of bits.</summary>
    private static float Nearest(float value)
    {
        if (value == 0) return value;
        int exponent = Math.Max(Math.ILogB((double)value), -126);
        double unit = Math.ScaleB(1, exponent - 7), rounded = Math.Round(value / unit, MidpointRounding.ToEven) * unit;
        return Math.Abs(rounded) >= Math.ScaleB(1, 128) ? float.CopySign(float.PositiveInfinity, value) : (float)rounded;
    }
}
