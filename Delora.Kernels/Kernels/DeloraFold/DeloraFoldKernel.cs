using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The Frobenius bound scaling of DeLoRA (arXiv 2503.18225, equation 6; PEFT's <c>DeloraLinear</c>), folded into the two factors:
/// A' = A ∘ w, B' = B ∘ s with s_i = σ λ / (r a_i b_i), a_i = max(‖A_i,:‖₂, 1e-4), b_i = max(‖B_:,i‖₂, 1e-4); ΔW = B'A'.
/// <para>The sign σ is −1 for the frozen branch of the residual initialization. Branches are concatenated along the rank by writing each
/// at its own offset into common factors [R, in] and [out, R]. Outputs that are null are not computed.</para>
/// </summary>
public static partial class DeloraFoldKernel
{
    private const string Op = "DeloraFold";

    /// <summary>A' = A ∘ w and B' = B ∘ s.</summary>
    /// <param name="a">A, [r, in].</param>
    /// <param name="b">B, [out, r].</param>
    /// <param name="lambda">λ, [1].</param>
    /// <param name="w">Norms of the columns of the base weight, [in].</param>
    /// <param name="scales">Output [3, r], saved for the backward pass: ‖A_i,:‖, ‖B_:,i‖ and s_i.</param>
    /// <param name="foldedA">Output [R, in], R ≥ offset + r: rows offset … offset + r − 1 are written. Null where it is not wanted.</param>
    /// <param name="foldedB">Output [out, R]: columns offset … offset + r − 1 are written. Null where it is not wanted.</param>
    /// <param name="offset">First rank of this branch in the folded factors.</param>
    /// <param name="negative">Whether σ is −1.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Forward(
        Tensor a, Tensor b, Tensor lambda, Tensor w, Tensor scales, Tensor? foldedA, Tensor? foldedB, int offset = 0, bool negative = false) =>
        Forward([new FoldForward(a, b, lambda, w, scales, foldedA, foldedB, offset, negative)]);

    /// <summary>The same for several branches, of one layer or of many, with the same bits; on a GPU in few launches.</summary>
    /// <exception cref="ShapeException">The shapes of a branch do not fit.</exception>
    /// <exception cref="DeviceException">They lie on different devices.</exception>
    public static void Forward(ReadOnlySpan<FoldForward> branches)
    {
        if (branches.IsEmpty) return;
        foreach (FoldForward own in branches)
        {
            CheckInputs(own.A, own.B, own.Lambda, own.W, own.Scales, own.FoldedA, own.FoldedB, own.Offset);
            Check.Floats(Op, branches[0].A, own.A, own.B, own.Lambda, own.W, own.Scales, own.FoldedA, own.FoldedB);
        }
        Device device = branches[0].A.Device;
        if (device is GpuDevice gpu)
        {
            GpuDeloraFold.Forward(gpu, branches);
            return;
        }
        foreach ((Tensor a, Tensor b, Tensor lambda, Tensor w, Tensor scales, Tensor? foldedA, Tensor? foldedB, int offset, bool negative) in branches)
            switch (device)
            {
                case CpuDevice cpu: CpuDeloraFold.Forward(cpu, a, b, lambda, w, scales, foldedA, foldedB, offset, negative); break;
                case ReferenceDevice: ReferenceForward(a, b, lambda, w, scales, foldedA, foldedB, offset, negative); break;
                case var other: throw Dispatch.Unknown(Op, other);
            }
    }

    /// <summary>
    /// With ds_i = ⟨B_:,i, dB'_:,i⟩: dλ = Σ_i σ ds_i / (r a_i b_i); dB_:,i = s_i dB'_:,i − ds_i s_i B_:,i / b_i²;
    /// dA_i,: = w ∘ dA'_i,: − ds_i s_i A_i,: / a_i². The second terms, through the norms, exist where the norm is at least 1e-4. w is
    /// frozen.
    /// </summary>
    /// <param name="a">A, [r, in].</param>
    /// <param name="b">B, [out, r].</param>
    /// <param name="w">Norms of the columns of the base weight, [in].</param>
    /// <param name="scales">[3, r], from the forward pass.</param>
    /// <param name="dFoldedA">Gradient of A', [R, in]; null for zero.</param>
    /// <param name="dFoldedB">Gradient of B', [out, R]; null for zero.</param>
    /// <param name="dA">Output [r, in], or null.</param>
    /// <param name="dB">Output [out, r], or null.</param>
    /// <param name="dLambda">Output [1], or null.</param>
    /// <param name="offset">First rank of this branch in the folded factors.</param>
    /// <param name="negative">Whether σ is −1.</param>
    /// <param name="sums">Outputs that are added to instead of overwritten.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentException">A gradient shares memory with another operand.</exception>
    public static void Backward(
        Tensor a, Tensor b, Tensor w, Tensor scales, Tensor? dFoldedA, Tensor? dFoldedB, Tensor? dA, Tensor? dB, Tensor? dLambda,
        int offset = 0, bool negative = false, FoldSums sums = FoldSums.None) =>
        Backward([new FoldBackward(a, b, w, scales, dFoldedA, dFoldedB, dA, dB, dLambda, offset, negative, sums)]);

    /// <summary>
    /// The same for several branches, with the same bits; on a GPU in few launches. No two of them may write one tensor: on a GPU they are computed at
    /// once.
    /// </summary>
    /// <exception cref="ShapeException">The shapes of a branch do not fit.</exception>
    /// <exception cref="ArgumentException">A gradient shares memory with another operand of its branch, or is given twice.</exception>
    /// <exception cref="DeviceException">They lie on different devices.</exception>
    public static void Backward(ReadOnlySpan<FoldBackward> branches)
    {
        if (branches.IsEmpty) return;
        var written = new HashSet<Tensor>(ReferenceEqualityComparer.Instance);
        foreach (FoldBackward own in branches) CheckBackward(branches[0].A, own, written);
        Device device = branches[0].A.Device;
        if (device is GpuDevice gpu)
        {
            GpuDeloraFold.Backward(gpu, branches);
            return;
        }
        foreach ((Tensor a, Tensor b, Tensor w, Tensor scales, Tensor? dFoldedA, Tensor? dFoldedB, Tensor? dA, Tensor? dB, Tensor? dLambda, int offset,
            bool negative, FoldSums sums) in branches)
            switch (device)
            {
                case CpuDevice cpu:
                    CpuDeloraFold.Backward(cpu, a, b, w, scales, dFoldedA, dFoldedB, dA, dB, dLambda, offset, negative, sums);
                    break;
                case ReferenceDevice: ReferenceBackward(a, b, w, scales, dFoldedA, dFoldedB, dA, dB, dLambda, offset, negative, sums); break;
                case var other: throw Dispatch.Unknown(Op, other);
            }
    }

    private static void CheckBackward(Tensor first, in FoldBackward own, HashSet<Tensor> written)
    {
        (Tensor a, Tensor b, Tensor w, Tensor scales, Tensor? dFoldedA, Tensor? dFoldedB, Tensor? dA, Tensor? dB, Tensor? dLambda, int offset, _, _) =
            own;
        CheckInputs(a, b, dLambda, w, scales, dFoldedA, dFoldedB, offset);
        if (dA is not null) Check.SameShape(Op, a, dA);
        if (dB is not null) Check.SameShape(Op, b, dB);
        // All three are written at once.
        if (dA is not null) Check.Apart(Op, dA, a, b, w, scales, dFoldedA, dFoldedB, dB, dLambda);
        if (dB is not null) Check.Apart(Op, dB, a, b, w, scales, dFoldedA, dFoldedB, dLambda);
        if (dLambda is not null) Check.Apart(Op, dLambda, a, b, w, scales, dFoldedA, dFoldedB);
        foreach (Tensor? gradient in (ReadOnlySpan<Tensor?>)[dA, dB, dLambda])
            if (gradient is not null && !written.Add(gradient))
                throw new ArgumentException($"{Op}: two branches write the gradient '{gradient.Name}' {gradient.Shape} at once");
        Check.Floats(Op, first, a, b, w, scales, dFoldedA, dFoldedB, dA, dB, dLambda);
    }

    private static void CheckInputs(Tensor a, Tensor b, Tensor? lambda, Tensor w, Tensor scales, Tensor? foldedA, Tensor? foldedB,
        int offset)
    {
        Check.HasRank(Op, a, 2);
        Check.HasRank(Op, b, 2);
        Check.Shapes(a.Shape[0] == b.Shape[1], $"{Op}: ranks differ: A {a.Shape}, B {b.Shape} ({a.Shape[0]} ≠ {b.Shape[1]})");
        Check.Shapes(a.Shape[0] > 0, $"{Op}: the rank is 0: A {a.Shape}, B {b.Shape}");
        if (lambda is not null) Check.HasShape(Op, lambda, [1]);
        Check.HasShape(Op, w, [a.Shape[1]]);
        Check.HasShape(Op, scales, [3, a.Shape[0]]);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        if (foldedA is not null)
        {
            Check.HasRank(Op, foldedA, 2);
            Check.Shapes(
                foldedA.Shape[1] == a.Shape[1] && (long)offset + a.Shape[0] <= foldedA.Shape[0],
                $"{Op}: A {a.Shape} at rank {offset} does not fit the folded {foldedA.Shape}");
        }
        if (foldedB is not null)
        {
            Check.HasRank(Op, foldedB, 2);
            Check.Shapes(
                foldedB.Shape[0] == b.Shape[0] && (long)offset + b.Shape[1] <= foldedB.Shape[1],
                $"{Op}: B {b.Shape} at rank {offset} does not fit the folded {foldedB.Shape}");
        }
    }
}
