using Delora.Tests.KernelCompilation;

namespace Delora.Tests.Ptx;

/// <summary>Rounding and conversions against arithmetic in more digits, on random and on awkward numbers.</summary>
public sealed class ConversionTests
{
    private static T[] Run<T>(string instruction, int from, ulong[] values) where T : unmanaged
    {
        var bench = new PtxBench();
        PtxArray<ulong> x = bench.Array<ulong>(values);
        int to = 8 * System.Runtime.CompilerServices.Unsafe.SizeOf<T>();
        PtxArray<T> y = bench.Array<T>(values.Length);
        string text = PtxBench.Text("yx", $"""
            .reg .b32 %r<4>; .reg .b64 %rd<4>; .reg .b{to} %w; .reg .b{from} %v; .reg .pred %p;
            mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mad.lo.u32 %r1, %r2, 64, %r1;
            setp.ge.u32 %p, %r1, {values.Length}; @%p exit;
            mul.wide.u32 %rd1, %r1, 8; add.u64 %rd1, %rd1, x; mul.wide.u32 %rd2, %r1, {to / 8}; add.u64 %rd2, %rd2, y;
            ld.global.b{from} %v, [%rd1];
            {instruction} %w, %v{(instruction.Contains("x2.f32", StringComparison.Ordinal) ? ", %v" : "")};
            st.global.b{to} [%rd2], %w;
            """);
        NvidiaAssembler.Check(text);
        bench.Launch(text, PtxBench.Shape((values.Length + 63) / 64, 64), y, x);
        return y.Span.ToArray();
    }

    private static readonly ulong[] s_bits = Bits();

    private static ulong[] Bits()
    {
        var random = new Random(7);
        var all = new List<ulong>();
        for (int i = 0; i < 3000; i++) all.Add((ulong)random.NextInt64(long.MinValue, long.MaxValue));
        // Floats in the range of float16, halfway cases among them.
        for (int i = 0; i < 3000; i++)
        {
            uint kept = i % 3 == 0 ? 0xFFFFF000 : i % 3 == 1 ? 0xFFFF8000 : uint.MaxValue;
            all.Add(BitConverter.SingleToUInt32Bits((float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-28, 20)))) & kept);
        }
        foreach (float value in (float[])[0, -0f, 1, -1, 0.5f, 1.5f, 2.5f, -2.5f, 65504, 65519.99f, 65520, 1e-8f, 6e-8f, 3.4e38f, 1e-45f,
            float.PositiveInfinity, float.NegativeInfinity, float.NaN, 2147483648, -2147483648, 4294967296, 9.3e18f])
            all.Add(BitConverter.SingleToUInt32Bits(value));
        return [.. all];
    }

    private static float Single(ulong bits) => BitConverter.UInt32BitsToSingle((uint)bits);

    [Fact]
    public void NarrowFloats()
    {
        ushort[] halves = Run<ushort>("cvt.rn.f16.f32", 32, s_bits), brains = Run<ushort>("cvt.rn.bf16.f32", 32, s_bits),
            cut = Run<ushort>("cvt.rz.bf16.f32", 32, s_bits);
        uint[] pairs = Run<uint>("cvt.rn.bf16x2.f32", 32, s_bits), tensor = Run<uint>("cvt.rna.tf32.f32", 32, s_bits);
        for (int i = 0; i < s_bits.Length; i++)
        {
            float value = Single(s_bits[i]);
            uint bits = (uint)s_bits[i];
            if (float.IsNaN(value))
            {
                Assert.Equal((0x7FFF, 0x7FFF, 0x7FFFu), (halves[i], brains[i], tensor[i] >> 16));
                continue;
            }
            Assert.Equal(BitConverter.HalfToUInt16Bits((Half)value), halves[i]);
            Assert.Equal(bits >> 16, cut[i]);
            Assert.Equal((uint)brains[i] << 16 | brains[i], pairs[i]);
            // The nearest of the two neighbours; of two equally near the even one, and for tf32 the larger.
            double below = Single(bits & 0xFFFF0000), above = Above(bits, 16), found = Single((ulong)brains[i] << 16);
            if (float.IsFinite(value))
            {
                double down = Math.Abs(value - below), up = Math.Abs(above - value);
                Assert.Equal(down < up || (down == up && (bits & 0x10000) == 0) ? below : above, Widen(found));
                double low = Single(bits & 0xFFFFE000), high = Above(bits, 13);
                Assert.Equal(Math.Abs(value - low) < Math.Abs(high - value) ? low : high, Widen(Single(tensor[i])));
            }
        }

        // The neighbour above in size, as if the exponent had no end.
        static double Above(uint bits, int cut) => double.IsInfinity(Single((bits >> cut << cut) + (1u << cut)))
            ? Math.CopySign(Math.Pow(2, 128), Single(bits)) : Single((bits >> cut << cut) + (1UL << cut));
        static double Widen(double value) => double.IsInfinity(value) ? Math.CopySign(Math.Pow(2, 128), value) : value;
    }

    [Fact]
    public void FloatsAndIntegers()
    {
        int[] nearest = Run<int>("cvt.rni.s32.f32", 32, s_bits), cut = Run<int>("cvt.rzi.s32.f32", 32, s_bits);
        uint[] unsigned = Run<uint>("cvt.rmi.u32.f32", 32, s_bits);
        float[] back = Run<float>("cvt.rn.f32.s64", 64, s_bits), down = Run<float>("cvt.rz.f32.u64", 64, s_bits);
        float[] small = Run<float>("cvt.rn.f32.s32", 32, s_bits);
        float[] whole = Run<float>("cvt.rpi.f32.f32", 32, s_bits);
        double[] wide = Run<double>("cvt.f64.f32", 32, s_bits);
        for (int i = 0; i < s_bits.Length; i++)
        {
            float value = Single(s_bits[i]);
            Assert.Equal(float.IsNaN(value) ? 0 : (int)Math.Clamp(Math.Round((double)value, MidpointRounding.ToEven), int.MinValue, int.MaxValue), nearest[i]);
            Assert.Equal(float.IsNaN(value) ? 0 : (int)Math.Clamp(Math.Truncate((double)value), int.MinValue, int.MaxValue), cut[i]);
            Assert.Equal(float.IsNaN(value) ? 0 : (uint)Math.Clamp(Math.Floor((double)value), 0, uint.MaxValue), unsigned[i]);
            Assert.Equal((float)(long)s_bits[i], back[i]);
            Assert.Equal((float)(int)s_bits[i], small[i]);
            // Towards zero: not above, and the next float is above.
            if (s_bits[i] < 1 << 24) Assert.Equal(s_bits[i], down[i]);
            else Assert.True((Int128)down[i] <= s_bits[i] && (Int128)MathF.BitIncrement(down[i]) > s_bits[i]);
            Assert.Equal(MathF.Ceiling(value), whole[i]);
            Assert.Equal((double)value, wide[i]);
        }
    }

    [Fact]
    public void Integers()
    {
        long[] wide = Run<long>("cvt.s64.s32", 32, s_bits);
        uint[] small = Run<uint>("cvt.u32.u16", 16, s_bits);
        int[] bytes = Run<int>("cvt.s32.s8", 32, s_bits), clamped = Run<int>("cvt.sat.s32.s64", 64, s_bits);
        for (int i = 0; i < s_bits.Length; i++)
        {
            Assert.Equal((long)(int)s_bits[i], wide[i]);
            Assert.Equal((ushort)s_bits[i], small[i]);
            Assert.Equal((sbyte)s_bits[i], bytes[i]);
            Assert.Equal((int)Math.Clamp((long)s_bits[i], int.MinValue, int.MaxValue), clamped[i]);
        }
    }

    [Theory, InlineData("rz"), InlineData("rm"), InlineData("rp")]
    public void DirectedSumsAndProducts(string mode)
    {
        var random = new Random(11);
        float[] a = [.. Enumerable.Range(0, 2000).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-20, 20))))], b = [.. a.Reverse()];
        var bench = new PtxBench();
        PtxArray<float> x = bench.Array<float>(a), y = bench.Array<float>(b), sum = bench.Array<float>(2000), product = bench.Array<float>(2000);
        string text = PtxBench.Text("xysp", $"""
            .reg .b32 %r<4>; .reg .b64 %rd<8>; .reg .f32 %f<5>;
            mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mad.lo.u32 %r1, %r2, 100, %r1; mul.wide.u32 %rd1, %r1, 4;
            add.u64 %rd2, %rd1, x; add.u64 %rd3, %rd1, y; add.u64 %rd4, %rd1, s; add.u64 %rd5, %rd1, p;
            ld.global.f32 %f1, [%rd2]; ld.global.f32 %f2, [%rd3];
            add.{mode}.f32 %f3, %f1, %f2; mul.{mode}.f32 %f4, %f1, %f2;
            st.global.f32 [%rd4], %f3; st.global.f32 [%rd5], %f4;
            """);
        NvidiaAssembler.Check(text);
        bench.Launch(text, PtxBench.Shape(20, 100), x, y, sum, product);
        for (int i = 0; i < 2000; i++)
        {
            Nearest(mode, Exact(a[i]) + Exact(b[i]), sum[i], 1);
            Nearest(mode, Exact(a[i]) * Exact(b[i]), product[i], 2);
        }
    }

    /// <summary>A float times 2^100.</summary>
    private static System.Numerics.BigInteger Exact(float value) => new System.Numerics.BigInteger(Math.ScaleB((double)value, 40)) * (1L << 60)
        + new System.Numerics.BigInteger(Math.ScaleB(Math.ScaleB((double)value, 40) - Math.Truncate(Math.ScaleB((double)value, 40)), 60));

    /// <summary>Whether a float is the one that the mode says for an exact value times 2^(100·power).</summary>
    private static void Nearest(string mode, System.Numerics.BigInteger exact, float found, int power)
    {
        bool down = mode == "rm" || (mode == "rz" && exact.Sign > 0);
        System.Numerics.BigInteger Scaled(float value) => power == 1 ? Exact(value) : Exact(value) * (System.Numerics.BigInteger.One << 100);
        if (down) Assert.True(Scaled(found) <= exact && Scaled(MathF.BitIncrement(found)) > exact);
        else Assert.True(Scaled(found) >= exact && Scaled(MathF.BitDecrement(found)) < exact);
    }
}
