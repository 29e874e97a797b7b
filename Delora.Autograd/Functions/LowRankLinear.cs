using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>
    /// A linear layer over a frozen weight with a low-rank branch: y = f(x Wᵀ + bias + (x̃ A'ᵀ) B'ᵀ) + residual; see
    /// <see cref="LowRankLinearKernel"/>. x, the bias, A', B' and the residual get gradients, W none. Between the passes only x, h = x̃ A'ᵀ [N, r] and what f
    /// wants are kept; a dropout mask is computed again.
    /// </summary>
    /// <param name="x">[…, in]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <param name="a">A' [r, in]</param>
    /// <param name="b">B' [out, r]</param>
    /// <param name="dropout">The mask on x of the branch; null for none.</param>
    /// <param name="activation">f.</param>
    /// <param name="residual">[…, out]; null for none.</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static Tensor LowRankLinear(
        this Tensor x, FrozenWeight weight, Tensor? bias, Tensor a, Tensor b, DropoutMask? dropout = null, ActivationKind activation = ActivationKind.None,
        Tensor? residual = null)
    {
        Check.HasRank("LowRankLinear", a, 2);
        Shape shape = OutputShape(x, weight.Out);
        Tensor h = Tensor.Empty([checked((int)x.Shape.Rows), a.Shape[0]], x.DType, x.Device, "LowRankLinear.h");
        bool isSaved = false;
        try
        {
            return EndLinear(x, shape, activation, residual, [x, bias, a, b], (y, end) =>
            {
                using Tensor rows = AsRows(x);
                LowRankLinearKernel.Forward(rows, weight, bias, a, b, h, y, dropout, end);
            }, end =>
            {
                isSaved = true;
                return new LowRankLinearFunction(x, weight, bias, a, b, h, dropout, end);
            }, nameof(LowRankLinear));
        }
        finally
        {
            if (!isSaved) h.Dispose();
        }
    }

    private sealed class LowRankLinearFunction : LinearEndFunction
    {
        private readonly Tensor _x, _a, _b, _h;
        private readonly FrozenWeight _weight;
        private readonly DropoutMask? _dropout;

        internal LowRankLinearFunction(Tensor x, FrozenWeight weight, Tensor? bias, Tensor a, Tensor b, Tensor h, DropoutMask? dropout, LinearEnd end)
            : base(bias, end)
        {
            (_x, _weight, _a, _b, _h, _dropout) = (x, weight, a, b, Save(h), dropout);
        }

        protected override void Backward(GradientFlow flow, Tensor dz)
        {
            using Tensor x = AsRows(_x);
            bool accumulate = false;
            using Tensor? dx = flow.Needs(_x) ? AsRows(flow.Target(_x, out accumulate)) : null;
            Tensor? da = flow.Needs(_a) ? Tensor.Empty(_a.Shape, _a.DType, _a.Device, "LowRankLinear.da") : null;
            Tensor? db = flow.Needs(_b) ? Tensor.Empty(_b.Shape, _b.DType, _b.Device, "LowRankLinear.db") : null;
            LowRankLinearKernel.Backward(x, _weight, _a, _b, _h, dz, dx, da, db, _dropout, accumulate);
            if (da is not null) flow.Add(_a, da);
            if (db is not null) flow.Add(_b, db);
        }
    }
}
