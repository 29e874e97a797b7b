using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The exact Frobenius norm of a low-rank product without the product: ‖B'A'‖_F² = Σ_ij (B'ᵀB')_ij (A'A'ᵀ)_ij, two r×r Gram matrices,
/// O((in + out) r²). Everything is accumulated in float64 and the sum clamped at 0: its terms cancel where two branches of the product do
/// (the residual initialization), down to an error of some 1e-8 of the norm of one branch.
/// </summary>
[NoDerivative("it reports the length of an update; no loss contains it")]
public static partial class LowRankNormKernel
{
    private const string Op = "LowRankNorm";

    /// <summary>norm = ‖B'A'‖_F.</summary>
    /// <param name="foldedA">A', [r, in].</param>
    /// <param name="foldedB">B', [out, r].</param>
    /// <param name="norm">Output [1].</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Forward(Tensor foldedA, Tensor foldedB, Tensor norm)
    {
        Check.HasRank(Op, foldedA, 2);
        Check.HasRank(Op, foldedB, 2);
        Check.Shapes(
            foldedA.Shape[0] == foldedB.Shape[1],
            $"{Op}: ranks differ: A' {foldedA.Shape}, B' {foldedB.Shape} ({foldedA.Shape[0]} ≠ {foldedB.Shape[1]})");
        Check.HasShape(Op, norm, [1]);
        switch (Check.Floats(Op, foldedA, foldedB, norm))
        {
            case CpuDevice cpu: CpuLowRankNorm.Forward(cpu, foldedA, foldedB, norm); break;
            case GpuDevice gpu: GpuLowRankNorm.Forward(gpu, foldedA, foldedB, norm); break;
            case ReferenceDevice: ReferenceForward(foldedA, foldedB, norm); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
