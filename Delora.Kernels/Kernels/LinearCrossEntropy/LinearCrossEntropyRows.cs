using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Which rows <see cref="LinearCrossEntropyKernel"/> computes where not all count: prompts and padding may be most of a batch. On CUDA their number is
/// rounded up, so that recorded work fits batches of other counts. What fills up is a row that counts, with a label that is ignored: of rows that do not
/// count nothing is read, and a NaN in them spoils nothing.
/// </summary>
internal sealed class LinearCrossEntropyRows
{
    private readonly Tensor _labels;
    private readonly int[]? _read;
    private readonly int _ignoreIndex, _computed;
    private readonly bool _gathers;

    /// <summary>The rows of labels [rows], of which some do not count.</summary>
    internal LinearCrossEntropyRows(Tensor labels, int count, int ignoreIndex)
    {
        (_labels, _ignoreIndex, _gathers) = (labels, ignoreIndex, RecordedSizes.AreRounded(labels.Device));
        _computed = RowsComputed(labels.Device, count, labels.Shape[0]);
        // Labels that the host does not know are read once. A recording refuses that.
        _read = labels.KnownStorage is null ? labels.ToArray<int>() : null;
    }

    /// <summary>What the launches of a loss depend on where <paramref name="count"/> of <paramref name="total"/> rows count.</summary>
    internal static int LaunchesOf(Device device, int count, int total) => count == total ? -1 : RowsComputed(device, count, total);

    /// <summary>The loss over the rows that count, and the gradients of all.</summary>
    /// <param name="x">[rows, dim]</param>
    /// <param name="dx">Output, the shape of x, or null.</param>
    /// <param name="run">Computes the loss and the gradients over x, labels, dx of the rows that are computed.</param>
    internal void Run(Tensor x, Tensor? dx, Action<Tensor, Tensor, Tensor?> run)
    {
        Device device = x.Device;
        int dim = x.Shape[1];
        using Tensor rows = GpuGraph.Derived(FilledRows, [_computed], device, "rows that count");
        using Tensor labels = GpuGraph.Derived(
            () => Filled([.. Labels.ToArray().Where(label => label != _ignoreIndex)], _ignoreIndex), [_computed], device, "labels that count");
        using Tensor kept = Tensor.Empty([_computed, dim], x.DType, device, "x that counts");
        EmbeddingKernel.Forward(rows, x, kept);
        if (dx is null)
        {
            run(kept, labels, null);
            return;
        }
        if (!_gathers)
        {
            using Tensor dkept = Tensor.Empty([_computed, dim], x.DType, device, "dx that counts");
            run(kept, labels, dkept);
            EmbeddingKernel.Backward(rows, dkept, dx, accumulate: false);
            return;
        }
        // The last row is that of all rows that do not count: zeros.
        using Tensor table = Tensor.Empty([_computed + 1, dim], x.DType, device, "dx that counts"), last = table.View([1, dim], (long)_computed * dim);
        using Tensor computed = table.View([_computed, dim]), places = GpuGraph.Derived(Places, [x.Shape[0]], device, "places of rows that count");
        run(kept, labels, computed);
        last.FillZero();
        EmbeddingKernel.Forward(places, table, dx);
    }

    private ReadOnlySpan<int> Labels => _read is null ? _labels.Known : _read;

    private static int RowsComputed(Device device, int count, int total) => RecordedSizes.Of(device, count, total, 4);

    private int[] Rows()
    {
        List<int> rows = [];
        ReadOnlySpan<int> labels = Labels;
        for (int row = 0; row < labels.Length; row++)
            if (labels[row] != _ignoreIndex) rows.Add(row);
        return [.. rows];
    }

    private int[] FilledRows()
    {
        int[] rows = Rows();
        return Filled(rows, rows[0]);
    }

    private int[] Places()
    {
        int[] places = new int[Labels.Length];
        Array.Fill(places, _computed);
        int[] rows = Rows();
        for (int place = 0; place < rows.Length; place++) places[rows[place]] = place;
        return places;
    }

    private int[] Filled(int[] values, int filling) =>
        values.Length >= _computed ? values : [.. values, .. Enumerable.Repeat(filling, _computed - values.Length)];
}
