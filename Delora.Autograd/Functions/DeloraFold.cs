using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

/// <summary>
/// One branch of a DeLoRA update: the adapter itself, or the frozen initial one that the residual initialization subtracts.
/// </summary>
/// <param name="A">A, [r, in].</param>
/// <param name="B">B, [out, r].</param>
/// <param name="Lambda">λ, [1]; branches may share it.</param>
/// <param name="W">Norms of the columns of the base weight, [in]; frozen.</param>
/// <param name="Negative">Whether the branch is subtracted.</param>
public readonly record struct DeloraBranch(Tensor A, Tensor B, Tensor Lambda, Tensor W, bool Negative = false);

public static partial class Functions
{
    /// <summary>
    /// A' = A ∘ w and B' = B ∘ s, so that ΔW = B'A'; see <see cref="DeloraFoldKernel"/>. Several branches (several active adapters, the
    /// residual initialization) are concatenated along the rank, in the memory they are computed in.
    /// </summary>
    /// <param name="branches">One or more of the same in and out.</param>
    /// <returns>A' [R, in] and B' [out, R], R the sum of the ranks.</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="GradientException">A gradient towards w is asked for.</exception>
    public static (Tensor FoldedA, Tensor FoldedB) DeloraFold(params ReadOnlySpan<DeloraBranch> branches)
    {
        if (branches.IsEmpty) throw new ArgumentException("DeloraFold: no branch was given", nameof(branches));
        Tensor a0 = branches[0].A, b0 = branches[0].B;
        Check.HasRank(nameof(DeloraFold), b0, 2);
        Tape? tape = null;
        int rank = 0;
        foreach (DeloraBranch branch in branches)
        {
            if (branch.W.GradientState is not null)
                throw new GradientException(
                    $"DeloraFold: w '{branch.W.Name}' {branch.W.Shape} requires a gradient; norms of the base weight are frozen.");
            Check.HasRank(nameof(DeloraFold), branch.A, 2);
            Tape? own = Tape.For(branch.A, branch.B, branch.Lambda);
            tape ??= own;
            rank = checked(rank + branch.A.Shape[0]);
        }
        using var foldedA = new Output([rank, a0.Shape[1]], a0, "DeloraFold.A'");
        using var foldedB = new Output([b0.Shape[0], rank], b0, "DeloraFold.B'");
        Tensor[]? saved = tape is null ? null : new Tensor[branches.Length];
        int offset = 0;
        for (int i = 0; i < branches.Length; i++)
        {
            (Tensor a, Tensor b, Tensor lambda, Tensor w, bool negative) = branches[i];
            using var scales = new Output([3, a.Shape[0]], a, "DeloraFold.scales");
            DeloraFoldKernel.Forward(a, b, lambda, w, scales, foldedA, foldedB, offset, negative);
            offset += a.Shape[0];
            saved?[i] = scales.Keep();
        }
        tape?.Record(new DeloraFoldFunction(branches.ToArray(), saved!, foldedA, foldedB), foldedA, foldedB);
        return (foldedA.Keep(), foldedB.Keep());
    }

    private sealed class DeloraFoldFunction : Function
    {
        private readonly DeloraBranch[] _branches;
        private readonly Tensor[] _scales;
        private readonly Tensor _foldedA, _foldedB;

        internal DeloraFoldFunction(DeloraBranch[] branches, Tensor[] scales, Tensor foldedA, Tensor foldedB)
        {
            _branches = branches;
            _scales = scales;
            _foldedA = foldedA;
            _foldedB = foldedB;
            foreach (Tensor tensor in scales) Save(tensor);
        }

        protected internal override void Backward(GradientFlow flow)
        {
            flow.TryGet(_foldedA, out Tensor? dFoldedA);
            flow.TryGet(_foldedB, out Tensor? dFoldedB);
            int offset = 0;
            for (int i = 0; i < _branches.Length; i++)
            {
                (Tensor a, Tensor b, Tensor lambda, Tensor w, bool negative) = _branches[i];
                FoldSums sums = FoldSums.None;
                Tensor? dA = Target(flow, a, FoldSums.A, ref sums), dLambda = Target(flow, lambda, FoldSums.Lambda, ref sums);
                // A tensor that is both factors has one sum, which the kernel cannot write twice at once.
                bool twice = ReferenceEquals(a, b) && flow.Needs(b);
                Tensor? dB = twice ? Tensor.Empty(b.Shape, b.DType, b.Device, "DeloraFold.dB") : Target(flow, b, FoldSums.B, ref sums);
                if (dA is not null || dB is not null || dLambda is not null)
                    DeloraFoldKernel.Backward(a, b, w, _scales[i], dFoldedA, dFoldedB, dA, dB, dLambda, offset, negative, sums);
                if (twice) flow.Add(b, dB!);
                offset += a.Shape[0];
            }
        }

        /// <summary>Where the kernel writes the gradient of an input, or adds to it; null where it is not wanted.</summary>
        private static Tensor? Target(GradientFlow flow, Tensor input, FoldSums which, ref FoldSums sums)
        {
            if (!flow.Needs(input)) return null;
            Tensor target = flow.Target(input, out bool accumulate);
            if (accumulate) sums |= which;
            return target;
        }
    }
}
