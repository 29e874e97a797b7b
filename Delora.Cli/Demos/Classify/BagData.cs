namespace Delora.Cli;

/// <summary>
/// Texts as an embedding bag takes them: row i owns <c>Ids[Offsets[i] .. Offsets[i + 1]]</c>.
/// Ids <c>[total]</c>, Offsets <c>[rows + 1]</c>, Labels <c>[rows]</c>, all int32.
/// </summary>
internal sealed class BagData
{
    private BagData(int[] ids, int[] offsets, int[] labels) => (Ids, Offsets, Labels) = (ids, offsets, labels);

    public int[] Ids { get; }

    public int[] Offsets { get; }

    public int[] Labels { get; }

    public int Rows => Labels.Length;

    /// <summary>The features of <paramref name="examples"/>, in their order.</summary>
    public static BagData Of(IReadOnlyList<Example> examples, TextFeatures features)
    {
        List<int> ids = [];
        int[] offsets = new int[examples.Count + 1], labels = new int[examples.Count];
        for (int i = 0; i < examples.Count; i++)
        {
            features.Append(examples[i].Text, ids);
            offsets[i + 1] = ids.Count;
            labels[i] = examples[i].Label;
        }

        return new BagData([.. ids], offsets, labels);
    }

    /// <summary>The named rows, in the order given; a row may come more than once.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A row is outside [0, <see cref="Rows"/>).</exception>
    public BagData Take(ReadOnlySpan<int> rows)
    {
        int[] offsets = new int[rows.Length + 1], labels = new int[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)rows[i], (uint)Rows, nameof(rows));
            offsets[i + 1] = checked(offsets[i] + Offsets[rows[i] + 1] - Offsets[rows[i]]);
            labels[i] = Labels[rows[i]];
        }

        int[] ids = new int[offsets[^1]];
        for (int i = 0; i < rows.Length; i++)
            Array.Copy(Ids, Offsets[rows[i]], ids, offsets[i], offsets[i + 1] - offsets[i]);
        return new BagData(ids, offsets, labels);
    }

    /// <summary>Rows [start, start + count).</summary>
    public BagData Slice(int start, int count) => Take([.. Enumerable.Range(start, count)]);
}
