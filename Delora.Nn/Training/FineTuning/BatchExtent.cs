namespace Delora.Nn;

/// <summary>What the memory of a batch depends on, or what one of its rows contributes.</summary>
/// <param name="Length">Positions of a row; of a batch those of its longest.</param>
/// <param name="Counted">Positions that count towards the loss; of a batch all of them.</param>
internal readonly record struct BatchExtent(int Length, long Counted)
{
    /// <summary>Shapes of batches that a plan goes through.</summary>
    private const int MostShapes = 32;

    /// <summary>Batches that a plan looks at: more than a run has, or one of very many steps.</summary>
    private const int MostBatches = 1 << 20;

    /// <summary>
    /// One batch of each of the largest shapes: the longest, and those for which most is computed. Where few positions do not count the rows that do are
    /// copied, so that a shorter batch can take more.
    /// </summary>
    /// <param name="batches">Row numbers of batches.</param>
    /// <param name="rows">What each row contributes.</param>
    internal static IReadOnlyList<int[]> Largest(IEnumerable<int[]> batches, BatchExtent[] rows)
    {
        Dictionary<(BatchExtent Extent, int Rows), int[]> shapes = [];
        foreach (int[] batch in batches.Take(MostBatches))
            shapes.TryAdd((new(batch.Max(row => rows[row].Length), batch.Sum(row => rows[row].Counted)), batch.Length), batch);
        if (shapes.Count <= MostShapes) return [.. shapes.Values];
        return
        [
            .. shapes.OrderByDescending(shape => (long)shape.Key.Extent.Length * shape.Key.Rows).Take(MostShapes / 2)
                .Union(shapes.OrderByDescending(shape => Work(shape.Key.Extent, shape.Key.Rows)).Take(MostShapes / 2))
                .Select(shape => shape.Value),
        ];
    }

    private static long Work(BatchExtent extent, int rows)
    {
        long all = (long)extent.Length * rows;
        return all + (extent.Counted < all ? extent.Counted : 0);
    }
}
