using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>Batches whose rows have adapters of their own.</summary>
public sealed partial class LinearAdapters
{
    /// <summary>Whether no row has an adapter here.</summary>
    /// <exception cref="InvalidOperationException">Adapters are merged: they would act on all rows.</exception>
    private bool AreIdle(AdapterRows rows)
    {
        if (Merged.Count > 0)
            throw new InvalidOperationException($"{string.Join(", ", Merged)} is merged into the weight, for all rows; unmerge before computing rows.");
        return Array.TrueForAll(rows.AdaptersOf(this), adapter => adapter is null);
    }

    /// <summary>y = f(x Wᵀ + b, and each row's own branch) + residual. x [rows, …, in].</summary>
    private Tensor Forward(Tensor x, FrozenWeight weight, Tensor? bias, AdapterRows rows, ActivationKind activation, Tensor? residual)
    {
        CheckRows(x, x.Shape.Rank >= 2, rows);
        LinearAdapter?[] adapters = rows.AdaptersOf(this);
        if (adapters is [{ } only])
        {
            (Tensor a, Tensor b) = only.Fold(_layer.IsTraining);
            return x.LowRankLinear(weight, bias, a, b, only.NextMask(x.ElementCount, _layer.IsTraining), activation, residual);
        }
        Tensor y = x.FrozenLinear(weight, bias);
        Tensor branches = rows.Assemble([.. adapters.Select((adapter, group) => adapter is null ? null : Branch(adapter, rows.Take(x, group)))]);
        return End(y.Add(branches), activation, residual);
    }

    /// <summary>The base table's rows [rows, …, dim] of ids [rows, …], and each row's own branch.</summary>
    private Tensor Forward(Tensor ids, Tensor table, AdapterRows rows)
    {
        CheckRows(ids, ids.Shape.Rank >= 1, rows);
        return table.Add(rows.Assemble([.. rows.AdaptersOf(this).Select((adapter, group) =>
        {
            if (adapter is null) return null;
            (Tensor a, Tensor b) = adapter.Fold(_layer.IsTraining);
            return rows.Map(ids, group, part => OneHotBranch(part, a, b, adapter.NextMask(part.ElementCount, _layer.IsTraining)));
        })]));
    }

    private static void CheckRows(Tensor x, bool hasRows, AdapterRows rows)
    {
        if (!hasRows || x.Shape[0] != rows.Names.Count)
            throw new ShapeException($"x {x.Shape} does not have the {rows.Names.Count} rows that adapters were chosen for.");
    }

    /// <summary>x̃ A'ᵀ B'ᵀ of an adapter's rows.</summary>
    private Tensor Branch(LinearAdapter adapter, Tensor x)
    {
        if (adapter.NextMask(x.ElementCount, _layer.IsTraining) is { } mask) x = x.Dropout(mask.Probability, mask.Stream);
        (Tensor a, Tensor b) = adapter.Fold(_layer.IsTraining);
        Tensor flat = x.Reshape([checked((int)x.Shape.Rows), x.Shape.Columns]);
        return flat.MatMul(a, MatMulLayout.NT).MatMul(b, MatMulLayout.NT).Reshape(x.Shape.WithColumns(adapter.Out));
    }
}
