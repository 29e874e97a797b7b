using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Sums or means of rows of a table: y[b] = s_b Σ weight[ids[i]] over offsets[b] ≤ i &lt; offsets[b + 1], with s_b = 1 (sum) or one over
/// the number of ids (mean). An empty bag gives 0. Backward: dweight[v] = Σ s_b dy[b] over the places i with ids[i] = v, in the order of
/// the places on every device. As <c>torch.nn.EmbeddingBag</c> with <c>include_last_offset=True</c>.
/// <para>
/// The gradient is dense, but with <c>accumulate</c> only the rows that occur are read and written, however long the table is.
/// </para>
/// </summary>
public static partial class EmbeddingBagKernel
{
    private const string Op = "EmbeddingBag";

    /// <summary>y[b] = s_b Σ weight[ids[i]] over the ids of bag b.</summary>
    /// <param name="ids">int32 [total].</param>
    /// <param name="offsets">int32 [bags + 1]: where each bag starts; from 0, never down, to total.</param>
    /// <param name="weight">[vocab, dim].</param>
    /// <param name="y">Output, [bags, dim].</param>
    /// <param name="mode">Sum or mean.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">An id is negative or not below vocab, or the offsets are not as described.</exception>
    public static void Forward(Tensor ids, Tensor offsets, Tensor weight, Tensor y, EmbeddingBagMode mode)
    {
        switch (CheckAll(ids, offsets, weight, y, mode))
        {
            case CpuDevice cpu: CpuEmbeddingBag.Forward(cpu, ids, offsets, weight, y, mode == EmbeddingBagMode.Mean); break;
            case GpuDevice gpu: GpuEmbeddingBag.Forward(gpu, ids, offsets, weight, y, mode == EmbeddingBagMode.Mean); break;
            case ReferenceDevice: ReferenceForward(ids, offsets, weight, y, mode == EmbeddingBagMode.Mean); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dweight[v] = Σ s_b dy[b] over the places i with ids[i] = v, in their order.</summary>
    /// <param name="ids">int32 [total].</param>
    /// <param name="offsets">int32 [bags + 1].</param>
    /// <param name="dy">Gradient of the output, [bags, dim].</param>
    /// <param name="dweight">Gradient of the table, [vocab, dim].</param>
    /// <param name="mode">As in the forward pass.</param>
    /// <param name="accumulate">Adds to dweight, and leaves rows alone that do not occur; otherwise they become 0.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">An id is negative or not below vocab, or the offsets are not as described.</exception>
    public static void Backward(Tensor ids, Tensor offsets, Tensor dy, Tensor dweight, EmbeddingBagMode mode, bool accumulate)
    {
        Device device = CheckAll(ids, offsets, dweight, dy, mode);
        if (!accumulate) dweight.FillZero();
        switch (device)
        {
            case CpuDevice cpu: CpuEmbeddingBag.Backward(cpu, ids, offsets, dy, dweight, mode == EmbeddingBagMode.Mean); break;
            case GpuDevice gpu: GpuEmbeddingBag.Backward(gpu, ids, offsets, dy, dweight, mode == EmbeddingBagMode.Mean); break;
            case ReferenceDevice: ReferenceBackward(ids, offsets, dy, dweight, mode == EmbeddingBagMode.Mean); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>The shape of the result, [bags, dim].</summary>
    /// <exception cref="ShapeException">The weight is no table, or the offsets are empty or no vector.</exception>
    public static Shape OutputShape(Tensor offsets, Tensor weight)
    {
        Check.HasRank(Op, weight, 2);
        Check.HasRank(Op, offsets, 1);
        Check.Shapes(offsets.Shape[0] > 0, $"{Op}: offsets {offsets.Shape} must have bags + 1 elements, one at least");
        return [offsets.Shape[0] - 1, weight.Shape[1]];
    }

    private static Device CheckAll(Tensor ids, Tensor offsets, Tensor weight, Tensor y, EmbeddingBagMode mode)
    {
        if (!Enum.IsDefined(mode)) throw new ArgumentOutOfRangeException(nameof(mode), mode, "not an EmbeddingBagMode");
        Check.HasRank(Op, ids, 1);
        Check.HasShape(Op, y, OutputShape(offsets, weight));
        Check.HasDType(Op, offsets, DType.Int32);
        Check.OneDevice(Op, ids, offsets, weight);
        Device device = Check.Floats(Op, weight, y);
        IndexCheck.Count(Op, ids, weight.Shape[0]);
        // Few numbers: read back from a GPU rather than checked there.
        ReadOnlySpan<int> starts = device is GpuDevice ? offsets.ToArray<int>() : offsets.Span<int>();
        int total = ids.Shape[0];
        if (starts[0] != 0) throw new IndexException($"{Op}: offsets {offsets.Shape} start with {starts[0]}, not with 0");
        for (int b = 1; b < starts.Length; b++)
            if (starts[b] < starts[b - 1])
                throw new IndexException($"{Op}: offsets {offsets.Shape} go down from {starts[b - 1]} to {starts[b]} at element {b}");
        if (starts[^1] != total) throw new IndexException(
            $"{Op}: offsets {offsets.Shape} end with {starts[^1]}, not with the number of ids, {total}");
        return device;
    }
}
