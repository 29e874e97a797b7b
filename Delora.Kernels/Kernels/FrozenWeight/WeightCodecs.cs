using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>One number of a frozen weight as its storage keeps it, and where it lies among others: the specification of each storage.</summary>
internal unsafe interface IWeightCodec
{
    /// <summary>Bits of a number.</summary>
    static abstract int Bits { get; }

    /// <summary>Numbers of a row of that length that share a scale; 0 where there are no scales.</summary>
    static abstract int Block(int length);

    /// <summary>The scale of numbers of which the largest has this magnitude.</summary>
    static abstract float Scale(float largest);

    /// <summary>The code of a finite number.</summary>
    static abstract uint Encode(float value, float scale);

    /// <summary>The number of a code, rounded to float32 once.</summary>
    static abstract float Decode(uint code, float scale);

    /// <summary>Code <paramref name="i"/> of <paramref name="count"/> that lie together.</summary>
    static abstract uint Get(byte* codes, int i, int count);

    /// <summary>Writes a code where zeros were.</summary>
    static abstract void Put(byte* codes, int i, int count, uint code);
}

/// <summary>float32, bit by bit.</summary>
internal readonly unsafe struct Float32Codec : IWeightCodec
{
    public static int Bits => 32;

    public static int Block(int length) => 0;

    public static float Scale(float largest) => 1;

    public static uint Encode(float value, float scale) => BitConverter.SingleToUInt32Bits(value);

    public static float Decode(uint code, float scale) => BitConverter.UInt32BitsToSingle(code);

    public static uint Get(byte* codes, int i, int count) => ((uint*)codes)[i];

    public static void Put(byte* codes, int i, int count, uint code) => ((uint*)codes)[i] = code;
}

/// <summary>bfloat16.</summary>
internal readonly unsafe struct BFloat16Codec : IWeightCodec
{
    public static int Bits => 16;

    public static int Block(int length) => 0;

    public static float Scale(float largest) => 1;

    public static uint Encode(float value, float scale) => ((BFloat16)value).Bits;

    public static float Decode(uint code, float scale) => BitConverter.UInt32BitsToSingle(code << 16);

    public static uint Get(byte* codes, int i, int count) => ((ushort*)codes)[i];

    public static void Put(byte* codes, int i, int count, uint code) => ((ushort*)codes)[i] = (ushort)code;
}

/// <summary>IEEE half precision.</summary>
internal readonly unsafe struct Float16Codec : IWeightCodec
{
    public static int Bits => 16;

    public static int Block(int length) => 0;

    public static float Scale(float largest) => 1;

    public static uint Encode(float value, float scale) => BitConverter.HalfToUInt16Bits((Half)value);

    public static float Decode(uint code, float scale) => (float)BitConverter.UInt16BitsToHalf((ushort)code);

    public static uint Get(byte* codes, int i, int count) => ((ushort*)codes)[i];

    public static void Put(byte* codes, int i, int count, uint code) => ((ushort*)codes)[i] = (ushort)code;
}

/// <summary>Whole numbers from −127 to 127 with a scale for each row.</summary>
internal readonly unsafe struct Int8Codec : IWeightCodec
{
    public static int Bits => 8;

    public static int Block(int length) => Math.Max(1, length);

    public static float Scale(float largest) => largest / 127;

    /// <summary>Where the scale vanishes so do the numbers.</summary>
    public static uint Encode(float value, float scale) =>
        scale == 0 ? 0u : (byte)(sbyte)Math.Clamp(MathF.Round(value / scale, MidpointRounding.ToEven), -127, 127);

    public static float Decode(uint code, float scale) => (sbyte)code * scale;

    public static uint Get(byte* codes, int i, int count) => codes[i];

    public static void Put(byte* codes, int i, int count, uint code) => codes[i] = (byte)code;
}

/// <summary>4-bit NormalFloat with a scale for each 64 numbers of a row. Of numbers that lie together the first half is in the low bits.</summary>
internal readonly unsafe struct Nf4Codec : IWeightCodec
{
    /// <summary>Numbers that share a scale.</summary>
    internal const int BlockSize = 64;

    /// <summary><see cref="Level"/> of every code.</summary>
    internal static readonly float[] Levels = [.. Enumerable.Range(0, 1 << Bits).Select(Level)];

    /// <summary>Halfway between neighbors; the last is never exceeded.</summary>
    private static readonly double[] s_bounds =
        [.. Levels.Zip(Levels.Skip(1), (low, high) => ((double)low + high) / 2), double.PositiveInfinity];

    private const uint Zero = 7;

    public static int Bits => 4;

    public static int Block(int length) => BlockSize;

    public static float Scale(float largest) => largest;

    /// <summary>The nearest level of value / scale; halfway the lower one.</summary>
    public static uint Encode(float value, float scale)
    {
        if (scale == 0) return Zero;
        double x = value / scale;
        uint code = 0;
        for (uint step = 8; step > 0; step >>= 1)
            if (x > s_bounds[code + step - 1]) code += step;
        return code;
    }

    public static float Decode(uint code, float scale) => Levels[code] * scale;

    /// <summary>
    /// QLoRA, appendix E: quantiles of the standard normal distribution, 8 above and 7 below an exact 0, scaled to [−1, 1]. Without a table, which GPU kernels
    /// would have to be given.
    /// </summary>
    internal static float Level(int code) => code < 8
        ? code < 4
            ? code < 2 ? code == 0 ? -1.0f : -0.6961928009986877f : code == 2 ? -0.5250730514526367f : -0.39491748809814453f
            : code < 6 ? code == 4 ? -0.28444138169288635f : -0.18477343022823334f : code == 6 ? -0.09105003625154495f : 0.0f
        : code < 12
            ? code < 10 ? code == 8 ? 0.07958029955625534f : 0.16093020141124725f : code == 10 ? 0.24611230194568634f : 0.33791524171829224f
            : code < 14 ? code == 12 ? 0.44070982933044434f : 0.5626170039176941f : code == 14 ? 0.7229568362236023f : 1.0f;

    public static uint Get(byte* codes, int i, int count) => i < Half(count) ? codes[i] & 15u : (uint)codes[i - Half(count)] >> 4;

    public static void Put(byte* codes, int i, int count, uint code)
    {
        if (i < Half(count)) codes[i] |= (byte)code;
        else codes[i - Half(count)] |= (byte)(code << 4);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Half(int count) => (count + 1) >> 1;
}

/// <summary><see cref="Nf4Codec"/> with neighbors in one byte, the first in its low bits.</summary>
internal readonly unsafe struct Nf4PairCodec : IWeightCodec
{
    public static int Bits => Nf4Codec.Bits;

    public static int Block(int length) => Nf4Codec.Block(length);

    public static float Scale(float largest) => Nf4Codec.Scale(largest);

    public static uint Encode(float value, float scale) => Nf4Codec.Encode(value, scale);

    public static float Decode(uint code, float scale) => Nf4Codec.Decode(code, scale);

    public static uint Get(byte* codes, int i, int count) => (uint)codes[i >> 1] >> Shift(i) & 15u;

    public static void Put(byte* codes, int i, int count, uint code) => codes[i >> 1] |= (byte)(code << Shift(i));

    private static int Shift(int i) => (i & 1) * Nf4Codec.Bits;
}
