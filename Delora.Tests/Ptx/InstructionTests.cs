using System.Globalization;
using System.Numerics;
using Delora.Tests.KernelCompilation;
using static System.BitConverter;

namespace Delora.Tests.Ptx;

/// <summary>One instruction at a time, over every combination of awkward operands, against plain C#.</summary>
public sealed class InstructionTests
{
    private static readonly ulong[] s_integers =
    [
        0, 1, 2, 7, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x12345678, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF,
        0x8000000000000000, 0x123456789ABCDEF0,
    ];

    private static readonly float[] s_floats =
    [
        0, -0f, 1, -1, 0.5f, 2.5f, 3.5f, -2.5f, 1.0000001f, 16777217, -16777215, 1e-40f, -1e-45f, 1.17549435e-38f, 3.4e38f, -3.4e38f, 0.1f, -0.3f, 1e10f,
        3e9f, -7e9f, 1e-10f,
        65504, 65520, 6e-8f, float.PositiveInfinity, float.NegativeInfinity, float.NaN, MathF.PI, 2147483520, 2147483648,
    ];

    private static uint U(float value) => SingleToUInt32Bits(value);

    private static float F(ulong bits) => UInt32BitsToSingle((uint)bits);

    private static double D(ulong bits) => UInt64BitsToDouble(bits);

    private static ulong U(double value) => DoubleToUInt64Bits(value);

    /// <summary>Runs an instruction over all operands; sizes are those of the result and of the operands, in bits.</summary>
    private static void Check(string instruction, string sizes, ulong[] values, Func<ulong[], ulong> expected, double tolerance = 0)
    {
        int[] bits = [.. sizes.Split(' ').Select(size => int.Parse(size, CultureInfo.InvariantCulture))];
        int count = bits.Length - 1;
        var tuples = new List<ulong[]>();
        int total = (int)Math.Pow(values.Length, count), step = Math.Max(1, total / 4001 | 1);
        for (int i = 0; i < total; i += step)
        {
            var tuple = new ulong[count];
            for (int k = 0, rest = i; k < count; k++, rest /= values.Length) tuple[k] = values[rest % values.Length] & (ulong.MaxValue >> (64 - bits[k + 1]));
            tuples.Add(tuple);
        }
        var bench = new PtxBench();
        PtxArray<ulong> y = bench.Array<ulong>(tuples.Count), x = bench.Array<ulong>([.. tuples.SelectMany(tuple => tuple)]);
        string names = string.Concat(bits[1..].Select((_, i) => $", %v{i}"));
        string loads = string.Concat(bits[1..].Select((size, i) => $".reg .b{size} %v{i};\nld.global.b{size} %v{i}, [%rd1+{8 * i}];\n"));
        object[] operands = ["%w", .. Enumerable.Range(0, count).Select(i => $"%v{i}")];
        string whole = instruction.Contains('{') ? string.Format(CultureInfo.InvariantCulture, instruction, operands) : $"{instruction} %w{names}";
        string text = PtxBench.Text("yx", $"""
            .reg .b32 %r<4>; .reg .b64 %rd<4>; .reg .b{bits[0]} %w; .reg .pred %p;
            mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mad.lo.u32 %r1, %r2, 64, %r1;
            setp.ge.u32 %p, %r1, {tuples.Count}; @%p exit;
            mul.wide.u32 %rd1, %r1, {8 * count}; add.u64 %rd1, %rd1, x; mul.wide.u32 %rd2, %r1, 8; add.u64 %rd2, %rd2, y;
            {loads}
            {whole};
            st.global.b{bits[0]} [%rd2], %w;
            """);
        NvidiaAssembler.Check(text);
        bench.Launch(text, PtxBench.Shape((tuples.Count + 63) / 64, 64), y, x);
        for (int i = 0; i < tuples.Count; i++)
        {
            ulong mask = ulong.MaxValue >> (64 - bits[0]), actual = y[i] & mask, wanted = expected(tuples[i]) & mask;
            if (actual == wanted || (tolerance < 0 && AreNaN(actual, wanted, bits[0]))) continue;
            if (tolerance > 0 && (AreNaN(actual, wanted, bits[0])
                || Math.Abs((double)F(actual) - F(wanted)) <= tolerance * Math.Abs((double)F(wanted)))) continue;
            string given = string.Join(", ", tuples[i].Select(v => v.ToString("x", CultureInfo.InvariantCulture)));
            Assert.Fail($"{instruction} of {given}: {actual:x}, not {wanted:x}");
        }
    }

    private static bool AreNaN(ulong a, ulong b, int bits) => bits switch
    {
        16 => false,
        32 => float.IsNaN(F(a)) && float.IsNaN(F(b)),
        _ => double.IsNaN(D(a)) && double.IsNaN(D(b)),
    };

    private static void Integers(string instruction, string sizes, Func<ulong[], ulong> expected) => Check(instruction, sizes, s_integers, expected);

    private static void Floats(string instruction, string sizes, Func<ulong[], ulong> expected, double tolerance = -1) =>
        Check(instruction, sizes, [.. s_floats.Select(value => (ulong)U(value))], expected, tolerance);

    private static void Doubles(string instruction, string sizes, Func<ulong[], ulong> expected) =>
        Check(instruction, sizes, [.. s_floats.Select(value => U((double)value)), U(0.1), U(1e300), U(1e-310)], expected, -1);

    [Fact]
    public void IntegerArithmetic()
    {
        Integers("add.s32", "32 32 32", v => v[0] + v[1]);
        Integers("sub.u64", "64 64 64", v => v[0] - v[1]);
        Integers("add.u16", "16 16 16", v => v[0] + v[1]);
        Integers("add.sat.s32", "32 32 32", v => (uint)(int)Math.Clamp((long)(int)v[0] + (int)v[1], int.MinValue, int.MaxValue));
        Integers("mul.lo.s32", "32 32 32", v => v[0] * v[1]);
        Integers("mul.hi.s32", "32 32 32", v => (ulong)((long)(int)v[0] * (int)v[1] >> 32));
        Integers("mul.hi.u32", "32 32 32", v => v[0] * v[1] >> 32);
        Integers("mul.hi.u64", "64 64 64", v => Math.BigMul(v[0], v[1], out _));
        Integers("mul.hi.s64", "64 64 64", v => (ulong)Math.BigMul((long)v[0], (long)v[1], out _));
        Integers("mul.wide.s32", "64 32 32", v => (ulong)((long)(int)v[0] * (int)v[1]));
        Integers("mul.wide.u16", "32 16 16", v => v[0] * v[1]);
        Integers("mad.lo.u64", "64 64 64 64", v => v[0] * v[1] + v[2]);
        Integers("mad.wide.s32", "64 32 32 64", v => (ulong)((long)(int)v[0] * (int)v[1]) + v[2]);
        Integers("mad.hi.u32", "32 32 32 32", v => (v[0] * v[1] >> 32) + v[2]);
        Integers("min.s32", "32 32 32", v => (uint)Math.Min((int)v[0], (int)v[1]));
        Integers("max.u64", "64 64 64", v => Math.Max(v[0], v[1]));
        Integers("abs.s32", "32 32", v => (int)v[0] < 0 ? 0 - v[0] : v[0]);
        Integers("neg.s64", "64 64", v => 0 - v[0]);
        Integers("sad.s32", "32 32 32 32", v => (ulong)Math.Abs((long)(int)v[0] - (int)v[1]) + v[2]);
        Integers("or.b32 {0}, {2}, 1; div.s32 {0}, {1}, {0}", "32 32 32", v => (ulong)((long)(int)v[0] / (int)(v[1] | 1)));
        Integers("or.b32 {0}, {2}, 1; rem.s32 {0}, {1}, {0}", "32 32 32", v => (ulong)((long)(int)v[0] % (int)(v[1] | 1)));
        Integers("or.b64 {0}, {2}, 1; div.u64 {0}, {1}, {0}", "64 64 64", v => v[0] / (v[1] | 1));
        Integers("or.b64 {0}, {2}, 1; rem.s64 {0}, {1}, {0}", "64 64 64", v => (v[1] | 1) == ulong.MaxValue ? 0 : (ulong)((long)v[0] % (long)(v[1] | 1)));
    }

    [Fact]
    public void BitsAndShifts()
    {
        Integers("and.b64", "64 64 64", v => v[0] & v[1]);
        Integers("xor.b16", "16 16 16", v => v[0] ^ v[1]);
        Integers("not.b32", "32 32", v => ~v[0]);
        Integers("cnot.b32", "32 32", v => v[0] == 0 ? 1u : 0);
        Integers("shl.b32", "32 32 32", v => v[1] > 31 ? 0 : v[0] << (int)v[1]);
        Integers("shr.s32", "32 32 32", v => (uint)((int)v[0] >> (int)Math.Min(31, v[1])));
        Integers("shr.u64", "64 64 32", v => v[1] > 63 ? 0 : v[0] >> (int)v[1]);
        Integers("shr.s16", "16 16 32", v => (ulong)((short)v[0] >> (int)Math.Min(15, v[1])));
        Integers("shf.l.wrap.b32", "32 32 32 32", v => (v[1] << 32 | v[0]) << (int)(v[2] & 31) >> 32);
        Integers("shf.r.clamp.b32", "32 32 32 32", v => (v[1] << 32 | v[0]) >> (int)Math.Min(32, v[2]));
        Integers("popc.b64", "32 64", v => (ulong)BitOperations.PopCount(v[0]));
        Integers("clz.b32", "32 32", v => (ulong)BitOperations.LeadingZeroCount((uint)v[0]));
        Integers("brev.b32", "32 32", v => Convert.ToUInt32(new string([.. Convert.ToString((int)v[0], 2).PadLeft(32, '0').Reverse()]), 2));
        Integers("bfind.u32", "32 32", v => v[0] == 0 ? uint.MaxValue : (ulong)BitOperations.Log2(v[0]));
        Integers("bfind.s32", "32 32", v => (int)v[0] is 0 or -1 ? uint.MaxValue : (ulong)BitOperations.Log2((uint)((int)v[0] < 0 ? ~(int)v[0] : (int)v[0])));
        Integers("bfind.shiftamt.u32", "32 32", v => v[0] == 0 ? uint.MaxValue : (ulong)(31 - BitOperations.Log2(v[0])));
        Integers("bfe.u32 {0}, {1}, 5, 9", "32 32", v => v[0] >> 5 & 511);
        Integers("bfe.s32 {0}, {1}, 28, 9", "32 32", v => (uint)((int)v[0] >> 28));
        Integers("bfe.s64 {0}, {1}, 3, 7", "64 64", v => (ulong)((long)v[0] << 54 >> 57));
        Integers("bfi.b32 {0}, {1}, {2}, 5, 9", "32 32 32", v => (v[1] & ~(511UL << 5)) | (v[0] & 511) << 5);
        Integers("lop3.b32 {0}, {1}, {2}, {3}, 0xE8", "32 32 32 32", v => (v[0] & v[1]) | (v[0] & v[2]) | (v[1] & v[2]));
        Integers("lop3.b32 {0}, {1}, {2}, {3}, 0x2A", "32 32 32 32", v => v[2] & ~(v[0] & v[1]));
        Integers("prmt.b32 {0}, {1}, {2}, 0x5410", "32 32 32", v => (v[0] & 0xFFFF) | v[1] << 16);
        Integers("prmt.b32 {0}, {1}, {2}, 0x7F98", "32 32 32", v => Sign(v[0], 0) | Sign(v[0], 1) << 8 | Sign(v[1], 3) << 16 | (v[1] >> 24) << 24);
        Integers("mov.b64 {0}, {{{1}, {2}}}", "64 32 32", v => v[0] | v[1] << 32);
        Integers("mov.b64 {{{0}, _}}, {1}", "32 64", v => v[0]);

        static ulong Sign(ulong value, int at) => (value >> (8 * at + 7) & 1) != 0 ? 0xFFu : 0;
    }

    [Fact]
    public void FloatArithmetic()
    {
        Floats("add.f32", "32 32 32", v => U(F(v[0]) + F(v[1])));
        Floats("sub.rn.f32", "32 32 32", v => U(F(v[0]) - F(v[1])));
        Floats("mul.f32", "32 32 32", v => U(F(v[0]) * F(v[1])));
        Floats("div.rn.f32", "32 32 32", v => U(F(v[0]) / F(v[1])));
        Floats("fma.rn.f32", "32 32 32 32", v => U(MathF.FusedMultiplyAdd(F(v[0]), F(v[1]), F(v[2]))));
        Floats("mul.ftz.f32", "32 32 32", v => U(Flush(Flush(F(v[0])) * Flush(F(v[1])))));
        Floats("add.sat.f32", "32 32 32", v => U(F(v[0]) + F(v[1]) is > 0 and var sum ? Math.Min(1, sum) : 0));
        Floats("sqrt.rn.f32", "32 32", v => U(MathF.Sqrt(F(v[0]))));
        Floats("rcp.rn.f32", "32 32", v => U(1 / F(v[0])));
        Floats("min.f32", "32 32 32", v => U(float.IsNaN(F(v[0])) ? F(v[1]) : float.IsNaN(F(v[1])) ? F(v[0]) : MathF.Min(F(v[0]), F(v[1]))));
        Floats("max.NaN.f32", "32 32 32", v => U(MathF.Max(F(v[0]), F(v[1]))));
        Floats("neg.f32", "32 32", v => U(-F(v[0])));
        Floats("copysign.f32", "32 32 32", v => (v[1] & 0x7FFFFFFF) | (v[0] & 0x80000000));
        Doubles("add.f64", "64 64 64", v => U(D(v[0]) + D(v[1])));
        Doubles("fma.rn.f64", "64 64 64 64", v => U(Math.FusedMultiplyAdd(D(v[0]), D(v[1]), D(v[2]))));
        Doubles("sqrt.rn.f64", "64 64", v => U(Math.Sqrt(D(v[0]))));
        foreach ((string name, Func<double, double> function) in ((string, Func<double, double>)[])
            [("ex2", x => Math.Pow(2, x)), ("lg2", Math.Log2), ("rcp", x => 1 / x), ("rsqrt", x => 1 / Math.Sqrt(x)), ("sqrt", Math.Sqrt), ("tanh", Math.Tanh)])
            Floats($"{name}.approx.f32", "32 32", v => U((float)function(F(v[0]))), 1e-6);
    }

    private static float Flush(float value) => float.IsSubnormal(value) ? MathF.CopySign(0, value) : value;
}
