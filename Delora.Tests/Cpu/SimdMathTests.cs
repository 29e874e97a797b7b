using Delora.Kernels;

namespace Delora.Tests.Cpu;

/// <summary>The stated errors of <see cref="SimdMath"/>, over float32 values of every magnitude and sign.</summary>
public sealed unsafe class SimdMathTests
{
    // A prime stride through all bit patterns: some 140,000 values, denormals, infinities and NaN among them.
    private const uint Stride = 30011;

    [Fact]
    public void Exp() => EveryWidth(new ExpOp(), Math.Exp, 2);

    /// <summary>Over every width, from −87.3 to 0; zeros below, NaN for NaN.</summary>
    [Fact]
    public void ExpNonPositive()
    {
        EveryWidth(new ExpNonPositiveOp(), Math.Exp, 2, Values().Where(x => x is >= -87.3f and <= 0).Concat(Enumerable.Repeat(0f, 16)));
        EveryWidth(new ExpNonPositiveOp(), _ => 0, 0, Values().Where(x => x < -87.3f));
        EveryWidth(new ExpNonPositiveOp(), _ => 0, 0, Enumerable.Repeat(float.NegativeInfinity, 16));
        EveryWidth(new ExpNonPositiveOp(), _ => double.NaN, 0, Enumerable.Repeat(float.NaN, 16));
        EveryWidth(new ExpNonPositiveOp(), Math.Exp, 2, Enumerable.Range(0, 64).Select(i => i / 1000f));
    }

    [Fact]
    public void Log() => EveryWidth(new LogOp(), Math.Log, 2);

    [Fact]
    public void Tanh() => EveryWidth(new TanhOp(), Math.Tanh, 3);

    [Fact]
    public void Sigmoid() => EveryWidth(new SigmoidOp(), x => 1 / (1 + Math.Exp(-x)), 4);

    [Fact]
    public void Erf() => EveryWidth(new ErfOp(), SpecialFunctions.Erf, 2);

    [Fact]
    public void NormalCdf()
    {
        foreach (float x in Values())
        {
            double expected = 0.5 * SpecialFunctions.Erfc(-x * Math.Sqrt(0.5)), actual = SimdMath.NormalCdf(new V1(x)).Value;
            if (double.IsNaN(expected)) Assert.True(double.IsNaN(actual));
            else Assert.True(Math.Abs(actual - expected) <= (x >= -5.7 ? 1e-5 * expected : 1e-9),
                $"NormalCdf({x}) = {actual}, not {expected}");
        }
    }

    [Fact]
    public void Special_values()
    {
        Assert.Equal(0f, SimdMath.Exp(new V1(float.NegativeInfinity)).Value);
        Assert.Equal(1f, SimdMath.Exp(new V1(0f)).Value);
        Assert.Equal(float.PositiveInfinity, SimdMath.Exp(new V1(88.73f)).Value);
        Assert.Equal(float.Epsilon, SimdMath.Exp(new V1(-103.5f)).Value);
        Assert.Equal(float.NegativeInfinity, SimdMath.Log(new V1(0f)).Value);
        Assert.Equal(float.NegativeInfinity, SimdMath.Log(new V1(-0f)).Value);
        Assert.Equal(float.PositiveInfinity, SimdMath.Log(new V1(float.PositiveInfinity)).Value);
        Assert.True(float.IsNaN(SimdMath.Log(new V1(-1f)).Value));
        Assert.Equal(float.Epsilon, SimdMath.Tanh(new V1(float.Epsilon)).Value);
        Assert.Equal(-1f, SimdMath.Tanh(new V1(float.NegativeInfinity)).Value);
        Assert.Equal(0.5f, SimdMath.Sigmoid(new V1(-0f)).Value);
        Assert.Equal(-1f, SimdMath.Erf(new V1(float.NegativeInfinity)).Value);
    }

    private static IEnumerable<float> Values()
    {
        for (ulong bits = 0; bits <= uint.MaxValue; bits += Stride) yield return BitConverter.UInt32BitsToSingle((uint)bits);
    }

    private static void EveryWidth<TOp>(TOp op, Func<double, double> exact, double maximumUlp, IEnumerable<float>? values = null)
        where TOp : struct, ICpuUnaryOp
    {
        float* from = stackalloc float[16], to = stackalloc float[16];
        int count = 0;
        float[] all = [.. values ?? Values()];
        // Whole blocks: the last one again begins with the last value.
        foreach (float x in all.Concat(Enumerable.Repeat(all[^1], 15)))
        {
            from[count++] = x;
            if (count < 16) continue;
            count = 0;
            V16.Store(op.Apply(V16.Load(from)), to);
            for (int i = 0; i < 16; i++) Close(from[i], exact(from[i]), to[i], maximumUlp);
            for (int i = 0; i < 16; i += 8) V8.Store(op.Apply(V8.Load(from + i)), to + i);
            for (int i = 0; i < 16; i++) Close(from[i], exact(from[i]), to[i], maximumUlp);
            for (int i = 0; i < 16; i += 4) V4.Store(op.Apply(V4.Load(from + i)), to + i);
            for (int i = 0; i < 16; i++) Close(from[i], exact(from[i]), to[i], maximumUlp);
            for (int i = 0; i < 16; i++) V1.Store(op.Apply(V1.Load(from + i)), to + i);
            for (int i = 0; i < 16; i++) Close(from[i], exact(from[i]), to[i], maximumUlp);
            for (int i = 0; i < 16; i++) to[i] = op.Apply(new GpuValue(from[i])).Value;
            // Without FMA each step of a polynomial rounds twice.
            for (int i = 0; i < 16; i++) Close(from[i], exact(from[i]), to[i], maximumUlp + 1);
        }
    }

    private static void Close(float x, double expected, float actual, double maximumUlp)
    {
        if (double.IsNaN(expected))
        {
            Assert.True(float.IsNaN(actual), $"f({x:R}) = {actual:R}, not NaN");
            return;
        }
        if (Math.Abs(expected) > float.MaxValue)
        {
            Assert.Equal((float)expected, actual);
            return;
        }
        double ulp = Math.Max(Math.ScaleB(1, Math.ILogB(expected == 0 ? 1e-300 : expected) - 23), float.Epsilon);
        double error = Math.Abs(actual - expected) / ulp;
        // Not "error > limit": a NaN must fail.
        if (!(error <= maximumUlp)) Assert.Fail($"f({x:R}) = {actual:R}, not {expected:R}: {error:F2} ulp");
    }

    private struct ExpOp : ICpuUnaryOp
    {
        public readonly TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => SimdMath.Exp(x);
    }

    private struct ExpNonPositiveOp : ICpuUnaryOp
    {
        public readonly TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => SimdMath.ExpNonPositive(x);
    }

    private struct LogOp : ICpuUnaryOp
    {
        public readonly TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => SimdMath.Log(x);
    }

    private struct TanhOp : ICpuUnaryOp
    {
        public readonly TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => SimdMath.Tanh(x);
    }

    private struct SigmoidOp : ICpuUnaryOp
    {
        public readonly TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => SimdMath.Sigmoid(x);
    }

    private struct ErfOp : ICpuUnaryOp
    {
        public readonly TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => SimdMath.Erf(x);
    }
}
