using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

public sealed partial class LinearAdapters
{
    /// <summary>
    /// An embedding's rows with the branches of the active adapters: y = W[ids] + A'[:, ids]ᵀ B'ᵀ. Nothing of the table's size is made; the
    /// gradient of A' is that of a gather.
    /// </summary>
    /// <param name="ids">int32 [..]</param>
    /// <param name="rows">The base table's rows, [.., dim].</param>
    /// <returns>[.., dim]</returns>
    internal Tensor Forward(Tensor ids, Tensor rows)
    {
        if (AreIdle()) return rows;
        if (AdapterRows.For(this) is { } choice) return Forward(ids, rows, choice);
        (Tensor? a, Tensor? b, List<(LinearAdapter Adapter, DropoutMask Mask)> masked) = FoldActive(ids.ElementCount);
        Tensor y = a is null ? rows : rows.Add(OneHotBranch(ids, a, b!, null));
        foreach ((LinearAdapter adapter, DropoutMask mask) in masked)
        {
            (a, b) = adapter.Fold(_layer.IsTraining);
            y = y.Add(OneHotBranch(ids, a, b, mask));
        }
        return y;
    }

    /// <summary>
    /// A'[:, ids]ᵀ B'ᵀ, [.., dim]. A one-hot input has one element that counts: dropping it drops the token's whole branch.
    /// </summary>
    private static Tensor OneHotBranch(Tensor ids, Tensor a, Tensor b, DropoutMask? mask)
    {
        int count = checked((int)ids.ElementCount), rank = a.Shape[0];
        Tensor h = a.GatherColumns(ids).Reshape([count, rank]);                                    // [count, r]
        if (mask is { } drop)
        {
            Tensor kept = Ones(count, 1, a.Device).Dropout(drop.Probability, drop.Stream);         // [count, 1]
            h = h.Multiply(kept.MatMul(Ones(1, rank, a.Device)));
        }
        return h.MatMul(b, MatMulLayout.NT).Reshape(new Shape([.. ids.Shape.Dims, b.Shape[0]]));
    }

    private static Tensor Ones(int rows, int columns, Device device) =>
        Tensor.From(Enumerable.Repeat(1f, rows * columns).ToArray(), [rows, columns], device, "ones");
}
