using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Columns of a matrix by their ids, each as a row: y[i, k] = a[k, ids[i]]. What a product with one-hot rows would give: the inner half of a
/// low-rank branch on an embedding, whose A is [r, vocab]. Backward: da[k, v] = Σ dy[i, k] over the places i with ids[i] = v, in the order of the
/// places on every device, so that the bits depend neither on threads nor on chance.
/// <para>The gradient is dense, but with <c>accumulate</c> only the columns that occur are read and written.</para>
/// </summary>
public static partial class GatherColumnsKernel
{
    private const string Op = "GatherColumns";

    /// <summary>y[i, k] = a[k, ids[i]].</summary>
    /// <param name="a">[rows, columns].</param>
    /// <param name="ids">int32 [..].</param>
    /// <param name="y">Output, [.., rows].</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">An id is negative, or not below columns.</exception>
    public static void Forward(Tensor a, Tensor ids, Tensor y)
    {
        Device device = CheckAll(a, ids, y);
        switch (device)
        {
            case CpuDevice cpu: CpuGatherColumns.Forward(cpu, a, ids, y); break;
            case GpuDevice gpu: GpuGatherColumns.Forward(gpu, a, ids, y); break;
            case ReferenceDevice: ReferenceForward(a, ids, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>da[k, v] = Σ dy[i, k] over i with ids[i] = v, in the order of i.</summary>
    /// <param name="ids">int32 [..].</param>
    /// <param name="dy">Gradient of the output, [.., rows].</param>
    /// <param name="da">Gradient of the matrix, [rows, columns].</param>
    /// <param name="accumulate">Adds to da, and leaves columns alone that do not occur; otherwise they become 0.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">An id is negative, or not below columns.</exception>
    public static void Backward(Tensor ids, Tensor dy, Tensor da, bool accumulate)
    {
        Device device = CheckAll(da, ids, dy);
        if (!accumulate) da.FillZero();
        switch (device)
        {
            case CpuDevice cpu: CpuGatherColumns.Backward(cpu, ids, dy, da); break;
            case GpuDevice gpu: GpuGatherColumns.Backward(gpu, ids, dy, da); break;
            case ReferenceDevice: ReferenceBackward(ids, dy, da); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>The shape of the result: that of the ids, then the rows of the matrix.</summary>
    /// <exception cref="ShapeException">a is no matrix, or the ids have too many dimensions.</exception>
    public static Shape OutputShape(Tensor a, Tensor ids)
    {
        Check.HasRank(Op, a, 2);
        return new Shape([.. ids.Shape.Dims, a.Shape[0]]);
    }

    private static Device CheckAll(Tensor a, Tensor ids, Tensor y)
    {
        Check.HasShape(Op, y, OutputShape(a, ids));
        Check.OneDevice(Op, ids, a);
        Device device = Check.Floats(Op, a, y);
        Check.Apart(Op, y, a);
        IndexCheck.Count(Op, ids, a.Shape[1]);
        return device;
    }
}
