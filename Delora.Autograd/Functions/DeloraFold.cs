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
    public static (Tensor FoldedA, Tensor FoldedB) DeloraFold(params ReadOnlySpan<DeloraBranch> branches) => DeloraFoldAll([branches.ToArray()])[0];

    /// <summary>
    /// A' and B' of many layers, each of one or more branches: what <see cref="DeloraFold"/> gives for each, with the same bits, as one recorded
    /// operation. On a GPU it is a few launches for all layers instead of a few for each, on the way back as well, where the layers to which no gradient
    /// came are left out.
    /// </summary>
    /// <param name="layers">The branches of each layer.</param>
    /// <returns>A' [R, in] and B' [out, R] of each layer.</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="DeviceException">The layers lie on different devices.</exception>
    /// <exception cref="GradientException">A gradient towards w is asked for.</exception>
    public static (Tensor FoldedA, Tensor FoldedB)[] DeloraFoldAll(params IReadOnlyList<DeloraBranch[]> layers)
    {
        // Layers without anything to train are not recorded: nobody computes their gradients.
        Tape?[] tapes = [.. layers.Select(CheckFold)];
        var made = new List<Tensor>();
        try
        {
            var folds = new DeloraFoldFunction.Layer[layers.Count];
            var kernels = new List<FoldForward>();
            for (int i = 0; i < folds.Length; i++) folds[i] = Prepare(layers[i], made, kernels);
            DeloraFoldKernel.Forward(kernels.ToArray());
            DeloraFoldFunction.Layer[] recorded = [.. folds.Where((_, i) => tapes[i] is not null)];
            if (recorded.Length > 0)
                tapes.First(tape => tape is not null)!.Record(
                    new DeloraFoldFunction(recorded), [.. recorded.SelectMany(fold => (Tensor[])[fold.FoldedA, fold.FoldedB])]);
            foreach (Tensor scales in folds.Except(recorded).SelectMany(fold => fold.Scales)) scales.Dispose();
            return Array.ConvertAll(folds, fold => (fold.FoldedA, fold.FoldedB));
        }
        catch
        {
            foreach (Tensor tensor in made) tensor.Dispose();
            throw;
        }
    }

    /// <summary>The tape that a layer's branches are recorded on.</summary>
    private static Tape? CheckFold(DeloraBranch[] branches)
    {
        if (branches.Length == 0) throw new ArgumentException("DeloraFold: no branch was given", nameof(branches));
        Check.HasRank(nameof(DeloraFold), branches[0].B, 2);
        Tape? tape = null;
        foreach (DeloraBranch branch in branches)
        {
            if (branch.W.GradientState is not null)
                throw new GradientException(
                    $"DeloraFold: w '{branch.W.Name}' {branch.W.Shape} requires a gradient; norms of the base weight are frozen.");
            Check.HasRank(nameof(DeloraFold), branch.A, 2);
            tape = Tape.For(branch.A, branch.B, branch.Lambda) ?? tape;
        }
        return tape;
    }

    /// <summary>Memory for what is folded of a layer, and the work that fills it.</summary>
    private static DeloraFoldFunction.Layer Prepare(DeloraBranch[] branches, List<Tensor> made, List<FoldForward> kernels)
    {
        Tensor a0 = branches[0].A;
        int rank = 0;
        foreach (DeloraBranch branch in branches) rank = checked(rank + branch.A.Shape[0]);
        Tensor foldedA = Make([rank, a0.Shape[1]], "DeloraFold.A'"), foldedB = Make([branches[0].B.Shape[0], rank], "DeloraFold.B'");
        var scales = new Tensor[branches.Length];
        int offset = 0;
        for (int i = 0; i < branches.Length; i++)
        {
            (Tensor a, Tensor b, Tensor lambda, Tensor w, bool negative) = branches[i];
            scales[i] = Make([3, a.Shape[0]], "DeloraFold.scales");
            kernels.Add(new FoldForward(a, b, lambda, w, scales[i], foldedA, foldedB, offset, negative));
            offset += a.Shape[0];
        }
        return new(branches, scales, foldedA, foldedB);

        Tensor Make(Shape shape, string name)
        {
            Tensor tensor = Tensor.Empty(shape, a0.DType, a0.Device, name);
            made.Add(tensor);
            return tensor;
        }
    }

    private sealed class DeloraFoldFunction : Function
    {
        private readonly Layer[] _layers;

        internal DeloraFoldFunction(Layer[] layers)
        {
            _layers = layers;
            foreach (Layer layer in layers)
                foreach (Tensor tensor in layer.Scales) Save(tensor);
        }

        protected internal override void Backward(GradientFlow flow)
        {
            var kernels = new List<FoldBackward>();
            // Branches that share a parameter (λ of a residual and its initial branch) add to one sum: one after the other, not at once.
            var inputs = new HashSet<Tensor>(ReferenceEqualityComparer.Instance);
            foreach ((DeloraBranch[] branches, Tensor[] scales, Tensor foldedA, Tensor foldedB) in _layers)
            {
                // What stays null counts as zero; where both do, the layer took no part.
                if (!flow.TryGet(foldedA, out Tensor? dFoldedA) & !flow.TryGet(foldedB, out Tensor? dFoldedB)) continue;
                int offset = 0;
                for (int i = 0; i < branches.Length; i++)
                {
                    (Tensor a, Tensor b, Tensor lambda, Tensor w, bool negative) = branches[i];
                    if (inputs.Contains(a) || inputs.Contains(b) || inputs.Contains(lambda)) Run(kernels, inputs);
                    inputs.UnionWith([a, b, lambda]);
                    FoldSums sums = FoldSums.None;
                    Tensor? dA = Target(flow, a, FoldSums.A, ref sums), dLambda = Target(flow, lambda, FoldSums.Lambda, ref sums);
                    // A tensor that is both factors has one sum, which the kernel cannot write twice at once.
                    bool twice = ReferenceEquals(a, b) && flow.Needs(b);
                    Tensor? dB = twice ? Tensor.Empty(b.Shape, b.DType, b.Device, "DeloraFold.dB") : Target(flow, b, FoldSums.B, ref sums);
                    if (dA is not null || dB is not null || dLambda is not null)
                        kernels.Add(new FoldBackward(a, b, w, scales[i], dFoldedA, dFoldedB, dA, dB, dLambda, offset, negative, sums));
                    if (twice)
                    {
                        Run(kernels, inputs);
                        flow.Add(b, dB!);
                    }
                    offset += a.Shape[0];
                }
            }
            Run(kernels, inputs);
        }

        private static void Run(List<FoldBackward> kernels, HashSet<Tensor> inputs)
        {
            DeloraFoldKernel.Backward(kernels.ToArray());
            kernels.Clear();
            inputs.Clear();
        }

        /// <summary>Where the kernel writes the gradient of an input, or adds to it; null where it is not wanted.</summary>
        private static Tensor? Target(GradientFlow flow, Tensor input, FoldSums which, ref FoldSums sums)
        {
            if (!flow.Needs(input)) return null;
            Tensor target = flow.Target(input, out bool accumulate);
            if (accumulate) sums |= which;
            return target;
        }

        /// <summary>What was folded of one layer.</summary>
        internal sealed record Layer(DeloraBranch[] Branches, Tensor[] Scales, Tensor FoldedA, Tensor FoldedB);
    }
}
