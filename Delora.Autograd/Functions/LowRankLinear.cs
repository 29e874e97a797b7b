using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>
    /// A linear layer over a frozen weight with a low-rank branch: y = x Wᵀ + bias + (x̃ A'ᵀ) B'ᵀ; see
    /// <see cref="LowRankLinearKernel"/>. x, the bias, A' and B' get gradients, W none. Between the passes only x and h = x̃ A'ᵀ [N, r] are
    /// kept; a dropout mask is computed again.
    /// </summary>
    /// <param name="x">[…, in]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <param name="a">A' [r, in]</param>
    /// <param name="b">B' [out, r]</param>
    /// <param name="dropout">The mask on x of the branch; null for none.</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static Tensor LowRankLinear(this Tensor x, FrozenWeight weight, Tensor? bias, Tensor a, Tensor b, DropoutMask? dropout = null)
    {
        Check.HasRank("LowRankLinear", a, 2);
        Tape? tape = Tape.For(x, bias, a, b);
        using var y = new Output(OutputShape(x, weight.Out), x);
        using Tensor rows = AsRows(x), result = AsRows(y);
        using var h = new Output([rows.Shape[0], a.Shape[0]], x, "LowRankLinear.h");
        LowRankLinearKernel.Forward(rows, weight, bias, a, b, h, result, dropout);
        tape?.Record(new LowRankLinearFunction(x, weight, bias, a, b, h.Keep(), y, dropout), y);
        return y.Keep();
    }

    private sealed class LowRankLinearFunction : Function
    {
        private readonly Tensor _x, _a, _b, _h, _y;
        private readonly Tensor? _bias;
        private readonly FrozenWeight _weight;
        private readonly DropoutMask? _dropout;

        internal LowRankLinearFunction(
            Tensor x, FrozenWeight weight, Tensor? bias, Tensor a, Tensor b, Tensor h, Tensor y, DropoutMask? dropout)
        {
            (_x, _weight, _bias, _a, _b, _h, _y, _dropout) = (x, weight, bias, a, b, Save(h), y, dropout);
        }

        protected internal override void Backward(GradientFlow flow)
        {
            using Tensor dy = AsRows(flow.Of(_y)), x = AsRows(_x);
            AddBiasGradient(flow, _bias, dy);
            bool accumulate = false;
            using Tensor? dx = flow.Needs(_x) ? AsRows(flow.Target(_x, out accumulate)) : null;
            Tensor? da = flow.Needs(_a) ? Tensor.Empty(_a.Shape, _a.DType, _a.Device, "LowRankLinear.da") : null;
            Tensor? db = flow.Needs(_b) ? Tensor.Empty(_b.Shape, _b.DType, _b.Device, "LowRankLinear.db") : null;
            LowRankLinearKernel.Backward(x, _weight, _a, _b, _h, dy, dx, da, db, _dropout, accumulate);
            if (da is not null) flow.Add(_a, da);
            if (db is not null) flow.Add(_b, db);
        }
    }
}
