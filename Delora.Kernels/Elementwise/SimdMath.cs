using System.Runtime.CompilerServices;

namespace Delora.Kernels;

/// <summary>
/// exp, log, tanh, sigmoid, erf and the normal distribution function in float32, written once for every vector width and (through
/// <see cref="GpuValue"/>) for GPU kernels, whose own Exp and Tanh are approximate instructions. Infinities, denormals and NaN give what
/// the
/// exact function gives; errors are stated at each function and tested.
/// </summary>
/// <remarks>
/// Classic reduction and polynomials as in Moshier's Cephes (<c>expf.c</c>, <c>logf.c</c>, <c>tanhf.c</c>); the coefficients are own
/// minimax fits.
/// </remarks>
internal static class SimdMath
{
    /// <summary>Up to where tanh is a polynomial.</summary>
    internal const float TanhBorder = 0.625f;

    /// <summary>The u of Φ's tail is 1/(1 + this · |x|).</summary>
    internal const float NormalWidth = 0.25455844f;

    private const float TanhP4 = -0.00566075434f, TanhP3 = 0.02060197298f, TanhP2 = -0.0537292179f, TanhP1 = 0.1333132879f, TanhP0 = -0.3333327831f;

    private const float NormalP6 = -0.1717330195f, NormalP5 = 0.5984676712f, NormalP4 = -0.4147524503f, NormalP3 = 0.4816375524f, NormalP2 = 0.08169124748f,
        NormalP1 = 0.2231439547f, NormalP0 = 0.2015449954f;

    /// <summary>tanh x = x + x³ p(x²) up to <see cref="TanhBorder"/>: the coefficients of p, the highest power first.</summary>
    internal static ReadOnlySpan<float> TanhSmall => [TanhP4, TanhP3, TanhP2, TanhP1, TanhP0];

    /// <summary>1 − Φ(|x|) = ½ e^(−x²/2) u p(u): the coefficients of p, the highest power first.</summary>
    internal static ReadOnlySpan<float> NormalTail => [NormalP6, NormalP5, NormalP4, NormalP3, NormalP2, NormalP1, NormalP0];

    /// <summary>e^x: error at most 2 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Exp<T>(T x) where T : unmanaged, ISimd<T>
    {
        // Beyond these the result is infinity or 0. Selected, not Min and Max: a comparison with NaN is false and leaves it.
        x = T.Select(T.GreaterThan(x, T.Set(89f)), T.Set(89f), x);
        x = T.Select(T.GreaterThan(T.Set(-104f), x), T.Set(-104f), x);
        (T n, T p) = ExpParts(x);
        // In two steps, because 2^n itself may be a denormal or too large where the result is not.
        T half = T.Round(n * T.Set(0.5f));
        return p * PowerOfTwo(half) * PowerOfTwo(n - half);
    }

    /// <summary>
    /// e^x for x ≤ 0, as a softmax asks for it, at two thirds of the cost: error at most 2 ulp down to e^−87.3, the least number that is no
    /// denormal, and 0 below. Correct up to x = 88, so that a rounding error above 0 does no harm; NaN gives NaN.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T ExpNonPositive<T>(T x) where T : unmanaged, ISimd<T>
    {
        (T n, T p) = ExpParts(x);
        return T.Select(T.GreaterThan(T.Set(-87.3f), x), T.Set(0f), p * PowerOfTwo(n));
    }

    /// <summary>e^x = p · 2^n.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (T N, T P) ExpParts<T>(T x) where T : unmanaged, ISimd<T>
    {
        // x = n ln 2 + r with |r| <= ln(2)/2. The first part of ln 2 has 9 bits, so that its product with n is exact even without FMA.
        T n = T.Round(x * T.Set(1.44269504f));
        T r = T.MultiplyAdd(n, T.Set(-0.693359375f), x);
        r = T.MultiplyAdd(n, T.Set(2.12194440e-4f), r);
        T p = T.MultiplyAdd(T.Set(0.001381336523f), r, T.Set(0.008369424228f));
        p = T.MultiplyAdd(p, r, T.Set(0.04166845426f));
        p = T.MultiplyAdd(p, r, T.Set(0.1666651474f));
        p = T.MultiplyAdd(p, r, T.Set(0.4999999306f));
        p = T.MultiplyAdd(p, r * r, r) + T.Set(1f);
        return (n, p);
    }

    /// <summary>ln x: error at most 2 ulp; −∞ at 0, NaN below.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Log<T>(T x) where T : unmanaged, ISimd<T>
    {
        T denormal = T.GreaterThan(T.SetBits(0x0080_0000), x);
        T scaled = T.Select(denormal, x * T.Set(33554432f), x); // 2^25
        // scaled = m · 2^e with m in [√½, √2): the difference to the bits of √½ has e in its exponent.
        T difference = T.AddBits(scaled, T.SetBits(-0x3F35_04F3));
        T exponent = T.ShiftRight(difference, 23);
        T e = T.BitsToFloat(exponent) - T.Select(denormal, T.Set(25f), T.Set(0f));
        T f = T.AddBits(T.And(difference, T.SetBits(0x007F_FFFF)), T.SetBits(0x3F35_04F3)) - T.Set(1f);
        T p = T.MultiplyAdd(T.Set(0.06719856954f), f, T.Set(-0.1166354514f));
        p = T.MultiplyAdd(p, f, T.Set(0.1189308632f));
        p = T.MultiplyAdd(p, f, T.Set(-0.1240787928f));
        p = T.MultiplyAdd(p, f, T.Set(0.1421924692f));
        p = T.MultiplyAdd(p, f, T.Set(-0.1666786019f));
        p = T.MultiplyAdd(p, f, T.Set(0.2000212579f));
        p = T.MultiplyAdd(p, f, T.Set(-0.2500001203f));
        p = T.MultiplyAdd(p, f, T.Set(0.3333331257f));
        T square = f * f;
        T y = T.MultiplyAdd(p * f, square, e * T.Set(-2.12194440e-4f));
        y = T.MultiplyAdd(square, T.Set(-0.5f), y) + f;
        y = T.MultiplyAdd(e, T.Set(0.693359375f), y);
        y = T.Select(T.GreaterThan(x, T.Set(float.MaxValue)), x, y);
        y = T.Select(T.GreaterThan(x, T.Set(0f)), y, T.Set(float.NaN));
        // Zero of either sign is the one value that is neither above nor below 0 nor NaN: |x| < the least denormal.
        return T.Select(T.GreaterThan(T.SetBits(1), T.Abs(x)), T.Set(float.NegativeInfinity), y);
    }

    /// <summary>tanh x: error at most 3 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Tanh<T>(T x) where T : unmanaged, ISimd<T>
    {
        T magnitude = T.Abs(x);
        T square = x * x;
        T p = T.MultiplyAdd(T.Set(TanhP4), square, T.Set(TanhP3));
        p = T.MultiplyAdd(p, square, T.Set(TanhP2));
        p = T.MultiplyAdd(p, square, T.Set(TanhP1));
        p = T.MultiplyAdd(p, square, T.Set(TanhP0));
        T small = T.MultiplyAdd(p * square, x, x);
        T large = T.Set(1f) - T.Set(2f) / (Exp(magnitude + magnitude) + T.Set(1f));
        return T.Select(T.GreaterThan(magnitude, T.Set(TanhBorder)), WithSign(large, x), small);
    }

    /// <summary>1/(1 + e^−x): error at most 4 ulp, in the negative tail as well.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Sigmoid<T>(T x) where T : unmanaged, ISimd<T>
    {
        T e = Exp(-T.Abs(x));
        return T.Select(T.GreaterThan(T.Set(0f), x), e, T.Set(1f)) / (T.Set(1f) + e);
    }

    /// <summary>erf x = 2/√π ∫₀ˣ e^−t² dt: error at most 2 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Erf<T>(T x) where T : unmanaged, ISimd<T>
    {
        T magnitude = T.Abs(x);
        T tail = WithSign(T.Set(1f) - ErfcTail(magnitude), x);
        return T.Select(T.GreaterThan(magnitude, T.Set(1f)), tail, ErfSmall(x));
    }

    /// <summary>
    /// Φ(x) = ½(1 + erf(x/√2)): relative error at most 1e-5 for x ≥ −5.7; below, where Φ &lt; 7e-9, the absolute error stays below 1e-9.
    /// The negative tail comes from erfc and does not cancel.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T NormalCdf<T>(T x) where T : unmanaged, ISimd<T> => Normal(x).Cdf;

    /// <summary>Φ(x), as <see cref="NormalCdf"/>, and its derivative φ(x) = e^(−x²/2)/√(2π), from one e^x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static (T Cdf, T Density) Normal<T>(T x) where T : unmanaged, ISimd<T>
    {
        T e = ExpNonPositive(x * x * T.Set(-0.5f));
        // erfc t = e^(−t²) u p(u) with t = |x|/√2 and u = 1/(1 + 0.36 t), the form of Abramowitz and Stegun 7.1.26; p is fitted for t ≤ 4.3.
        T u = T.Set(1f) / T.MultiplyAdd(T.Abs(x), T.Set(NormalWidth), T.Set(1f));
        T p = T.MultiplyAdd(T.Set(NormalP6), u, T.Set(NormalP5));
        p = T.MultiplyAdd(p, u, T.Set(NormalP4));
        p = T.MultiplyAdd(p, u, T.Set(NormalP3));
        p = T.MultiplyAdd(p, u, T.Set(NormalP2));
        p = T.MultiplyAdd(p, u, T.Set(NormalP1));
        p = T.MultiplyAdd(p, u, T.Set(NormalP0));
        T tail = e * T.Set(0.5f) * (p * u);
        return (T.Select(T.GreaterThan(x, T.Set(0f)), T.Set(1f) - tail, tail), T.Set(0.39894228f) * e);
    }

    /// <summary>erf x for |x| ≤ 1: x plus x times a polynomial in x².</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T ErfSmall<T>(T x) where T : unmanaged, ISimd<T>
    {
        T square = x * x;
        T p = T.MultiplyAdd(T.Set(-0.0005631409314f), square, T.Set(0.004917548165f));
        p = T.MultiplyAdd(p, square, T.Set(-0.02671130842f));
        p = T.MultiplyAdd(p, square, T.Set(0.1128018001f));
        p = T.MultiplyAdd(p, square, T.Set(-0.3761232617f));
        p = T.MultiplyAdd(p, square, T.Set(0.1283791225f));
        return T.MultiplyAdd(p, x, x);
    }

    /// <summary>erfc t for t ≥ 1: exp of a polynomial for ln erfc t + t, whose leading coefficient makes it vanish for large t.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T ErfcTail<T>(T t) where T : unmanaged, ISimd<T>
    {
        T p = T.MultiplyAdd(T.Set(-1.677695965e-5f), t, T.Set(0.0003766838427f));
        p = T.MultiplyAdd(p, t, T.Set(-0.003853026769f));
        p = T.MultiplyAdd(p, t, T.Set(0.0241861616f));
        p = T.MultiplyAdd(p, t, T.Set(-0.1067018312f));
        p = T.MultiplyAdd(p, t, T.Set(-0.634887767f));
        p = T.MultiplyAdd(p, t, T.Set(-0.128708948f));
        return Exp(T.MultiplyAdd(p, t, -t));
    }

    /// <summary>2^n for an integer n in [−126, 127]: adding 1.5 · 2^23 + 127 leaves n + 127 in the low bits, which become the
    /// exponent.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T PowerOfTwo<T>(T n) where T : unmanaged, ISimd<T> => T.ShiftLeft(n + T.Set(12583039f), 23);

    /// <summary>A value that is not negative, with the sign of another.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T WithSign<T>(T magnitude, T sign) where T : unmanaged, ISimd<T> =>
        T.Or(magnitude, T.And(sign, T.SetBits(int.MinValue)));
}
