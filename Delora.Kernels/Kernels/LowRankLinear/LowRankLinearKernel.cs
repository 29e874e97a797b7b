using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// A linear layer over a frozen weight with a low-rank branch, in one product:
/// <code>
/// h = x̃ A'ᵀ                       x̃ = x, or x under a dropout mask
/// y = [x | h]·[W | B']ᵀ + bias    the base product with r more steps in its inner loop
/// </code>
/// and on the way back, with g = ∂L/∂y:
/// <code>
/// v = g B'      dx = [g | v]·[W ; A']      dB' = gᵀ h      dA' = vᵀ x̃
/// </code>
/// (under dropout v A' is masked before it is added to g W). With an <see cref="Epilogue"/> f(y) + residual is stored, and g is the gradient of
/// what f is of. It knows nothing of norms: DeLoRA, LoRA and several adapters side by side along the rank are the same op. x [N, in], W [out, in],
/// A' [r, in], B' [out, r], h and v [N, r], y and g [N, out].
/// </summary>
public static partial class LowRankLinearKernel
{
    private const string Op = "LowRankLinear";

    /// <summary>Computes h and y.</summary>
    /// <param name="x">[N, in]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <param name="a">A' [r, in]</param>
    /// <param name="b">B' [out, r]</param>
    /// <param name="h">Output [N, r], kept for the backward pass.</param>
    /// <param name="y">Output [N, out]; must not overlap an input.</param>
    /// <param name="dropout">The mask on x of the low-rank branch; null for none.</param>
    /// <param name="epilogue">f and the residual; neither unless given.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentException">An output shares memory with another operand.</exception>
    public static void Forward(Tensor x, FrozenWeight weight, Tensor? bias, Tensor a, Tensor b, Tensor h, Tensor y, DropoutMask? dropout = null,
        Epilogue epilogue = default)
    {
        FrozenLinearKernel.CheckOperand(Op, x, weight, weight.In);
        CheckBranch(weight, a, b, x.Shape[0], h);
        Check.HasShape(Op, y, [x.Shape[0], weight.Out]);
        if (bias is not null) Check.HasShape(Op, bias, [weight.Out]);
        Check.Apart(Op, h, x, a, b, bias, y);
        Check.Apart(Op, y, x, a, b, bias);
        epilogue.CheckBeside(Op, y, x, a, b, bias, h);
        if (epilogue.Residual is { } residual) Check.Apart(Op, h, residual);
        dropout = dropout?.Validated();
        switch (Check.Floats(Op, x, bias, a, b, h, y, epilogue.Preactivation, epilogue.Residual))
        {
            case CpuDevice cpu: CpuLowRankLinear.Forward(cpu, x, (CpuFrozenWeight)weight, bias, a, b, h, y, dropout, epilogue); break;
            case GpuDevice gpu: GpuLowRankLinear.Forward(gpu, x, (GpuFrozenWeight)weight, bias, a, b, h, y, dropout, epilogue); break;
            case ReferenceDevice: ReferenceForward(x, (ReferenceFrozenWeight)weight, bias, a, b, h, y, dropout, epilogue); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>Computes those of dx, dA', dB' that are wanted. Gradients that are given are overwritten, or added to where their flag says so.</summary>
    /// <param name="x">[N, in], of the forward pass.</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="a">A' [r, in]</param>
    /// <param name="b">B' [out, r]</param>
    /// <param name="h">[N, r], of the forward pass.</param>
    /// <param name="dy">g [N, out]</param>
    /// <param name="dx">[N, in]; null where nobody below needs it.</param>
    /// <param name="da">dA' [r, in]; null where it is not wanted.</param>
    /// <param name="db">dB' [out, r]; null where it is not wanted.</param>
    /// <param name="dropout">The mask of the forward pass.</param>
    /// <param name="accumulateDx">Adds to dx instead of overwriting it.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentException">A gradient shares memory with another operand.</exception>
    public static void Backward(Tensor x, FrozenWeight weight, Tensor a, Tensor b, Tensor h, Tensor dy, Tensor? dx, Tensor? da, Tensor? db,
        DropoutMask? dropout = null, bool accumulateDx = false)
    {
        FrozenLinearKernel.CheckOperand(Op, x, weight, weight.In);
        CheckBranch(weight, a, b, x.Shape[0], h);
        Check.HasShape(Op, dy, [x.Shape[0], weight.Out]);
        if (dx is not null) Check.SameShape(Op, x, dx);
        if (da is not null) Check.SameShape(Op, a, da);
        if (db is not null) Check.SameShape(Op, b, db);
        if (dx is not null) Check.Apart(Op, dx, x, a, b, h, dy, da, db);
        if (da is not null) Check.Apart(Op, da, x, a, b, h, dy, db);
        if (db is not null) Check.Apart(Op, db, x, a, b, h, dy);
        dropout = dropout?.Validated();
        switch (Check.Floats(Op, x, a, b, h, dy, dx, da, db))
        {
            case CpuDevice cpu:
                CpuLowRankLinear.Backward(cpu, x, (CpuFrozenWeight)weight, a, b, h, dy, dx, da, db, dropout, accumulateDx);
                break;
            case GpuDevice gpu: GpuLowRankLinear.Backward(gpu, x, (GpuFrozenWeight)weight, a, b, h, dy, dx, da, db, dropout, accumulateDx); break;
            case ReferenceDevice: ReferenceBackward(x, (ReferenceFrozenWeight)weight, a, b, h, dy, dx, da, db, dropout, accumulateDx); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    private static void CheckBranch(FrozenWeight weight, Tensor a, Tensor b, int rows, Tensor h)
    {
        Check.HasRank(Op, a, 2);
        int rank = a.Shape[0];
        Check.HasShape(Op, a, [rank, weight.In]);
        Check.HasShape(Op, b, [weight.Out, rank]);
        Check.HasShape(Op, h, [rows, rank]);
    }
}
