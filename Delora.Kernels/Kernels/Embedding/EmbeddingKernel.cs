using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Rows of a table by their ids: y[i] = weight[ids[i]]. Backward: dweight[v] = Σ dy[i] over the places i with ids[i] = v, in the order of
/// the places on every device, so that the bits depend neither on threads nor on chance.
/// <para>
/// The gradient is dense, but with <c>accumulate</c> only the rows that occur are read and written, however long the table is.
/// </para>
/// </summary>
public static partial class EmbeddingKernel
{
    private const string Op = "Embedding";

    /// <summary>y[i] = weight[ids[i]].</summary>
    /// <param name="ids">int32 [..].</param>
    /// <param name="weight">[vocab, dim].</param>
    /// <param name="y">Output, [.., dim].</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">An id is negative, or not below vocab.</exception>
    public static void Forward(Tensor ids, Tensor weight, Tensor y)
    {
        Device device = CheckAll(ids, weight, y);
        switch (device)
        {
            case CpuDevice cpu: CpuEmbedding.Forward(cpu, ids, weight, y); break;
            case GpuDevice gpu: GpuEmbedding.Forward(gpu, ids, weight, y); break;
            case ReferenceDevice: ReferenceForward(ids, weight, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dweight[v] = Σ dy[i] over i with ids[i] = v, in the order of i.</summary>
    /// <param name="ids">int32 [..].</param>
    /// <param name="dy">Gradient of the output, [.., dim].</param>
    /// <param name="dweight">Gradient of the table, [vocab, dim].</param>
    /// <param name="accumulate">Adds to dweight, and leaves rows alone that do not occur; otherwise they become 0.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">An id is negative, or not below vocab.</exception>
    public static void Backward(Tensor ids, Tensor dy, Tensor dweight, bool accumulate)
    {
        Device device = CheckAll(ids, dweight, dy);
        if (!accumulate) dweight.FillZero();
        switch (device)
        {
            case CpuDevice cpu: CpuEmbedding.Backward(cpu, ids, dy, dweight); break;
            case GpuDevice gpu: GpuEmbedding.Backward(gpu, ids, dy, dweight); break;
            case ReferenceDevice: ReferenceBackward(ids, dy, dweight); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>The shape of the result: that of the ids, then dim.</summary>
    /// <exception cref="ShapeException">The weight is no table, or the ids have too many dimensions.</exception>
    public static Shape OutputShape(Tensor ids, Tensor weight)
    {
        Check.HasRank(Op, weight, 2);
        return new Shape([.. ids.Shape.Dims, weight.Shape.Columns]);
    }

    private static Device CheckAll(Tensor ids, Tensor weight, Tensor y)
    {
        Check.HasShape(Op, y, OutputShape(ids, weight));
        Check.OneDevice(Op, ids, weight);
        Device device = Check.Floats(Op, weight, y);
        IndexCheck.Count(Op, ids, weight.Shape[0]);
        return device;
    }
}
