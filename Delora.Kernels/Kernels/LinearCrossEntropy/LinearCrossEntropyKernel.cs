using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The last product of a language model with the cross-entropy of its scores: logits = x Wᵀ, loss = (1/count) Σ_i [log Σ_j e^(logits_ij) −
/// logits_i,label(i)] over the rows i that are not ignored. The logits are made a block of rows at a time: there is never a tensor
/// [rows, vocab]. For the same reason gradients are computed on the way forward, for dloss = 1, while a block is there:
/// <code>
/// d = (softmax(logits) − onehot(label)) / count      dx = d W      dW = dᵀ x
/// </code>
/// and the way back multiplies them by dloss. Rows that are ignored are left out of the products. x [.., dim], W [vocab, dim], labels [..].
/// </summary>
/// <remarks>Gradients on the way forward: Hsu et al., Liger-Kernel, arXiv 2410.10989, section 3.2 (FusedLinearCrossEntropy).</remarks>
public static partial class LinearCrossEntropyKernel
{
    private const string Op = "LinearCrossEntropy";

    /// <summary>Logits that are there at a time, unless one row has more.</summary>
    private const int BlockElements = 8 << 20;

    /// <summary>What the CPU's register tiles of 6 and of 12 rows divide.</summary>
    private const int RowsPerTile = 12;

    /// <summary>The loss over a frozen weight and, where it is wanted, its gradient towards x.</summary>
    /// <param name="x">[.., dim]</param>
    /// <param name="weight">W [vocab, dim]</param>
    /// <param name="labels">int32 [..]: a row of W, or <paramref name="ignoreIndex"/>.</param>
    /// <param name="loss">Output, [].</param>
    /// <param name="dx">Output, the shape of x: the gradient for dloss = 1; null where it is not wanted.</param>
    /// <param name="ignoreIndex">The label of rows that do not count.</param>
    /// <returns>The count of rows that are not ignored, at least 1.</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">A label is neither a row of W nor <paramref name="ignoreIndex"/>, or all are ignored.</exception>
    /// <exception cref="ArgumentException">dx shares memory with x.</exception>
    public static int Forward(
        Tensor x, FrozenWeight weight, Tensor labels, Tensor loss, Tensor? dx, int ignoreIndex = CrossEntropyKernel.IgnoreIndex) =>
        Forward(x, new VocabularyWeight(weight), labels, loss, dx, null, ignoreIndex, BlockElements);

    /// <summary>The loss over a weight that is trained and, where they are wanted, its gradients towards x and the weight.</summary>
    /// <param name="x">[.., dim]</param>
    /// <param name="weight">W [vocab, dim]</param>
    /// <param name="labels">int32 [..]: a row of W, or <paramref name="ignoreIndex"/>.</param>
    /// <param name="loss">Output, [].</param>
    /// <param name="dx">Output, the shape of x: the gradient for dloss = 1; null where it is not wanted.</param>
    /// <param name="dweight">Output, the shape of W: the gradient for dloss = 1; null where it is not wanted.</param>
    /// <param name="ignoreIndex">The label of rows that do not count.</param>
    /// <returns>The count of rows that are not ignored, at least 1.</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">A label is neither a row of W nor <paramref name="ignoreIndex"/>, or all are ignored.</exception>
    /// <exception cref="ArgumentException">An output shares memory with an input.</exception>
    public static int Forward(
        Tensor x, Tensor weight, Tensor labels, Tensor loss, Tensor? dx, Tensor? dweight, int ignoreIndex = CrossEntropyKernel.IgnoreIndex)
    {
        Check.HasRank(Op, weight, 2);
        return Forward(x, new VocabularyWeight(weight), labels, loss, dx, dweight, ignoreIndex, BlockElements);
    }

    /// <summary>gradient = dloss · saved, or gradient += dloss · saved, for a gradient that the forward pass computed.</summary>
    /// <param name="dloss">Gradient of the loss, [].</param>
    /// <param name="saved">dx or dW of the forward pass.</param>
    /// <param name="gradient">Output, the shape of <paramref name="saved"/>, which it may be.</param>
    /// <param name="accumulate">Whether to add to the gradient.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Backward(Tensor dloss, Tensor saved, Tensor gradient, bool accumulate = false)
    {
        Check.HasShape(Op, dloss, []);
        Check.SameShape(Op, saved, gradient);
        switch (Check.Floats(Op, dloss, saved, gradient))
        {
            case CpuDevice cpu: CpuLinearCrossEntropy.Backward(cpu, dloss, saved, gradient, accumulate); break;
            case GpuDevice gpu: GpuLinearCrossEntropy.Backward(gpu, dloss, saved, gradient, accumulate); break;
            case ReferenceDevice: ReferenceBackward(dloss, saved, gradient, accumulate); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>With a given size of the blocks, which tests make small.</summary>
    internal static int Forward(
        Tensor x, VocabularyWeight weight, Tensor labels, Tensor loss, Tensor? dx, Tensor? dweight, int ignoreIndex, int blockElements)
    {
        Shape rows = RowShape.Of(Op, x);
        Check.Shapes(x.Shape.Columns == weight.Dim,
            $"{Op}: inner dimensions differ: x {x.Shape}, weight [{weight.Vocabulary}, {weight.Dim}] ({x.Shape.Columns} ≠ {weight.Dim})");
        Check.HasShape(Op, labels, rows);
        Check.HasShape(Op, loss, []);
        if (dx is not null) Check.SameShape(Op, x, dx);
        if (dweight is not null) Check.HasShape(Op, dweight, [weight.Vocabulary, weight.Dim]);
        Check.OneDevice(Op, x, labels);
        weight.CheckDevice(Op, x);
        Device device = Check.Floats(Op, x, weight.Tensor, loss, dx, dweight);
        if (dx is not null) Check.Apart(Op, dx, x, weight.Tensor, dweight);
        if (dweight is not null) Check.Apart(Op, dweight, x, weight.Tensor);
        int total = checked((int)x.Shape.Rows);
        int count = IndexCheck.Count(Op, labels, weight.Vocabulary, ignoreIndex, used => LinearCrossEntropyRows.LaunchesOf(device, used, total));
        if (count == 0) throw CrossEntropyKernel.NothingCounts(Op, labels, ignoreIndex);
        if (device is ReferenceDevice)
        {
            using DenseWeight dense = weight.Reference();
            ReferenceForward(x, dense.Tensor, labels, loss, dx, dweight, count, ignoreIndex);
            return count;
        }
        using Tensor allX = x.View([total, weight.Dim]), allLabels = labels.View([total]);
        using Tensor? allDx = dx?.View([total, weight.Dim]);
        CountedRows counted = CountedRows.Of(labels, count, ignoreIndex);
        if (count == total) Run(allX, allLabels, allDx);
        else new LinearCrossEntropyRows(allLabels, count, ignoreIndex).Run(allX, allDx, Run);
        return count;

        void Run(Tensor rowsX, Tensor rowsLabels, Tensor? rowsDx) =>
            RunBlocks(device, rowsX, weight, rowsLabels, counted, loss, rowsDx, dweight, ignoreIndex, blockElements);
    }

    /// <summary>x [rows, dim], labels [rows]; the mean is over those that count.</summary>
    private static void RunBlocks(
        Device device, Tensor x, VocabularyWeight weight, Tensor labels, CountedRows counted, Tensor loss, Tensor? dx, Tensor? dweight, int ignoreIndex,
        int blockElements)
    {
        int total = x.Shape[0], block = BlockRows(total, Math.Max(1, blockElements / Math.Max(1, weight.Vocabulary)));
        using Tensor losses = Tensor.Empty([total], device.FloatType, device, "losses of the rows");
        using Tensor logits = Tensor.Empty([block, weight.Vocabulary], device.FloatType, device, "a block of logits");
        for (int start = 0; start < total; start += block)
        {
            int size = Math.Min(block, total - start);
            using Tensor blockX = Rows(x, start, size), blockLogits = logits.View([size, weight.Vocabulary]);
            using Tensor blockLabels = labels.View([size], start), blockLosses = losses.View([size], start);
            weight.Logits(blockX, blockLogits);
            RunRows(device, blockLogits, blockLabels, blockLosses, dx is not null || dweight is not null ? counted : null, ignoreIndex);
            if (dx is not null)
            {
                using Tensor blockDx = Rows(dx, start, size);
                weight.Backward(blockLogits, blockDx);
            }
            if (dweight is not null) MatMulKernel.Forward(blockLogits, blockX, dweight, MatMulLayout.TN, accumulate: start > 0);
        }
        CrossEntropyKernel.Mean(losses, loss, counted);
    }

    /// <summary>
    /// Rows of a block: as few blocks as <paramref name="most"/> rows allow, all of them about as large, since each reads the whole weight; and whole
    /// register tiles, with <see cref="RowsPerTile"/> − 1 rows more than that at most.
    /// </summary>
    private static int BlockRows(int total, int most)
    {
        int blocks = (int)((total + most - 1L) / most), even = (total + blocks - 1) / blocks;
        return even < RowsPerTile ? even : Math.Min(total, (even + RowsPerTile - 1) / RowsPerTile * RowsPerTile);
    }

    /// <summary>The losses of some rows and, where a count is given, in place of their logits (softmax − onehot) / count.</summary>
    private static void RunRows(Device device, Tensor logits, Tensor labels, Tensor losses, CountedRows? mean, int ignoreIndex)
    {
        switch (device)
        {
            case CpuDevice cpu: CpuLinearCrossEntropy.Rows(cpu, logits, labels, losses, mean is null ? null : 1.0 / mean.Value.Count, ignoreIndex); break;
            case GpuDevice gpu: GpuLinearCrossEntropy.Rows(gpu, logits, labels, losses, mean, ignoreIndex); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    private static Tensor Rows(Tensor all, int start, int size) => all.View([size, all.Shape[1]], (long)start * all.Shape[1]);
}
