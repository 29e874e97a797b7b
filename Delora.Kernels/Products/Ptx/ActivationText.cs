using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Activations in the texts of products, in place on a register. With the card's approximations of 2^x and 1/x, each within 2 ulp: the error is
/// below 1e-5 of the value plus 1e-6. NaN stays NaN.
/// </summary>
internal static class ActivationText
{
    private const float Log2E = 1.44269504f;

    /// <summary>The word for names of kernels: <c>_gelu</c>; nothing without an activation.</summary>
    internal static string Suffix(ActivationKind kind) => kind == ActivationKind.None ? "" : $"_{kind.ToString().ToLowerInvariant()}";

    /// <summary>x = f(x).</summary>
    internal static void Apply(PtxWriter w, ActivationKind kind, F32 x)
    {
        switch (kind)
        {
            case ActivationKind.None: break;
            case ActivationKind.Relu: w.Emit("selp.f32", x, 0f, x, w.Result<Pred>("setp.lt.f32", x, 0f)); break;
            case ActivationKind.Sigmoid: w.Set(x, Sigmoid(w, x * -Log2E)); break;
            case ActivationKind.Silu: Scale(w, x, Sigmoid(w, x * -Log2E)); break;
            // ½(1 + tanh u) = 1/(1 + e^−2u), which does not cancel.
            case ActivationKind.GeluTanh:
                const float Twice = -2 * Log2E * CpuGeluTanh.Factor;
                Scale(w, x, Sigmoid(w, x * w.MultiplyAdd(x * x, CpuGeluTanh.Cubic * Twice, Twice)));
                break;
            case ActivationKind.Gelu: Scale(w, x, NormalCdf(w, x)); break;
            case ActivationKind.Tanh: Tanh(w, x); break;
            default: throw ActivationKinds.Unknown(kind);
        }
    }

    /// <summary>1/(1 + 2^t).</summary>
    private static F32 Sigmoid(PtxWriter w, F32 t) => Reciprocal(w, w.Result<F32>("add.f32", Exp2(w, t), 1f));

    /// <summary>Φ(x) as <see cref="SimdMath.NormalCdf"/> has it.</summary>
    private static F32 NormalCdf(PtxWriter w, F32 x)
    {
        F32 e = Exp2(w, x * x * (-0.5f * Log2E)), u = Reciprocal(w, w.MultiplyAdd(Abs(w, x), SimdMath.NormalWidth, 1f));
        F32 tail = e * 0.5f * (Polynomial(w, u, SimdMath.NormalTail) * u);
        return w.SelectFloat(w.Result<Pred>("setp.gt.f32", x, 0f), w.Result<F32>("sub.f32", 1f, tail), tail);
    }

    /// <summary>As <see cref="SimdMath.Tanh"/>: a polynomial around 0, else 1 − 2/(1 + e^2|x|) with the sign of x.</summary>
    private static void Tanh(PtxWriter w, F32 x)
    {
        F32 square = x * x, small = w.Result<F32>("fma.rn.f32", Polynomial(w, square, SimdMath.TanhSmall) * square, x, x), magnitude = Abs(w, x);
        F32 large = w.MultiplyAdd(Sigmoid(w, magnitude * (2 * Log2E)), -2f, 1f);
        w.Emit("copysign.f32", large, x, large);
        w.Emit("selp.f32", x, large, small, w.Result<Pred>("setp.gt.f32", magnitude, SimdMath.TanhBorder));
    }

    /// <summary>c₀xⁿ + c₁xⁿ⁻¹ + … + cₙ.</summary>
    private static F32 Polynomial(PtxWriter w, F32 x, ReadOnlySpan<float> coefficients)
    {
        F32 sum = w.Constant(coefficients[0]);
        foreach (float coefficient in coefficients[1..]) sum = w.MultiplyAdd(sum, x, coefficient);
        return sum;
    }

    private static void Scale(PtxWriter w, F32 x, F32 factor) => w.Emit("mul.f32", x, x, factor);

    private static F32 Abs(PtxWriter w, F32 x) => w.Result<F32>("abs.f32", x);

    private static F32 Exp2(PtxWriter w, F32 x) => w.Result<F32>("ex2.approx.ftz.f32", x);

    private static F32 Reciprocal(PtxWriter w, F32 x) => w.Result<F32>("rcp.approx.ftz.f32", x);
}
