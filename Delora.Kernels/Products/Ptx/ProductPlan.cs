using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>How a product is cut: the tile of a group, and into how many parts of the inner dimension, whose sums are added in their order
/// afterwards.</summary>
/// <param name="Tile">The tile.</param>
/// <param name="Splits">Parts of the inner dimension.</param>
/// <param name="TilesOfSplit">Tiles along the inner dimension that a part has; the last one may have fewer.</param>
internal readonly record struct ProductPlan(ProductTile Tile, int Splits, int TilesOfSplit)
{
    // A part that is shorter than that spends its time on beginning and ending.
    private const int FewestTilesOfSplit = 8;

    private const int MostSplits = 64;

    /// <summary>256 columns: two thirds of the traffic of 128 × 128, where a thread's registers suffice.</summary>
    internal static ProductTile Large { get; } = new(128, 256, 64, 64, 4, 1);

    /// <summary>128 × 128, with registers for two operands that are rounded on their way.</summary>
    internal static ProductTile Middle { get; } = new(128, 128, 64, 32, 4, 1);

    /// <summary>64 × 64: small and narrow products.</summary>
    internal static ProductTile Small { get; } = new(64, 64, 32, 32, 4, 2);

    /// <summary>128 × 128 in float32 arithmetic: 64 sums, 32 numbers of two steps and their addresses are a little more than half of a thread's
    /// registers.</summary>
    internal static ProductTile FloatLarge { get; } = new(128, 128, 64, 32, 2, 1);

    /// <summary>64 × 64 in float32 arithmetic.</summary>
    internal static ProductTile FloatSmall { get; } = new(64, 64, 64, 32, 2, 5);

    /// <summary>
    /// The plan that is expected to be done first: groups go over the multiprocessors in waves, each of which takes as long as its tile is large and slow. A
    /// function of the sizes and the card alone.
    /// </summary>
    /// <param name="size">The product.</param>
    /// <param name="type">What tensor cores multiply; null for float32 arithmetic.</param>
    /// <param name="allowsLarge">Whether the variant has registers for <see cref="Large"/>.</param>
    /// <param name="processors">Multiprocessors of the card.</param>
    /// <param name="allowsFloatSmall">Whether it has registers for <see cref="FloatSmall"/>, of which there are fewer.</param>
    internal static ProductPlan Choose(MatMulSize size, MmaType? type, bool allowsLarge, int processors, bool allowsFloatSmall = true)
    {
        int depth = type is { } mma ? new MmaTile(mma, Small.Rows, true).Depth : FloatTile.Steps;
        int depthTiles = (int)(((long)size.K + depth - 1) / depth);
        ProductPlan best = default;
        double least = double.PositiveInfinity;
        // What a multiprocessor reaches with each tile, from the bytes of shared memory that an instruction of its warps needs: 128, 192 and 256.
        (ProductTile, double)[] tiles = type is null ? [(FloatLarge, 1.0), (FloatSmall, 0.7)] : [(Large, 1.0), (Middle, 0.8), (Small, 0.5)];
        foreach ((ProductTile tile, double speed) in tiles)
        {
            if ((tile == Large && !allowsLarge) || (tile == FloatSmall && !allowsFloatSmall)) continue;
            long count = checked((long)size.Batch * Quotient(size.M, tile.Rows) * Quotient(size.N, tile.Columns));
            long most = Math.Clamp(depthTiles / FewestTilesOfSplit, 1, MostSplits);
            long splits = Math.Clamp(processors * (long)tile.GroupsPerProcessor / Math.Max(1, count), 1, most);
            int ofSplit = Math.Max(1, Quotient(depthTiles, (int)splits));
            double waves = Math.Ceiling((double)count * splits / processors);
            double cost = waves * (ofSplit + FewestTilesOfSplit) * tile.Rows * tile.Columns / speed;
            if (cost >= least) continue;
            (least, best) = (cost, new(tile, Math.Max(1, Quotient(depthTiles, ofSplit)), ofSplit));
        }
        return best;
    }

    /// <summary>length / tile, rounded up.</summary>
    internal static int Quotient(int length, int tile) => (int)(((long)length + tile - 1) / tile);
}
