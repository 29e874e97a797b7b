using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>The order of a product's tiles: down a few rows of tiles before they go on to the next
/// column, so that what neighboring groups read stays in the second-level cache.</summary>
internal static class TileRaster
{
    private const int BandRows = 8;

    /// <summary>Tiles of rows and of columns that a matrix has.</summary>
    internal static (B32 Rows, B32 Columns) Count(B32 m, B32 n, int rows, int columns) =>
        (((m + (rows - 1)) / rows).As("tile_rows"), ((n + (columns - 1)) / columns).As("tile_columns"));

    /// <summary>The first row and column of a matrix's tile.</summary>
    internal static void Find(PtxWriter w, B32 index, (B32 Rows, B32 Columns) tiles, int rows, int columns, B32 firstRow, B32 firstColumn)
    {
        B32 band = (tiles.Columns * BandRows).As("band");
        B32 first = (index / band * BandRows).As("first_of_band"), inBand = (index % band).As("in_band");
        B32 ofBand = w.Min(tiles.Rows - first, BandRows).As("rows_of_band");
        w.Emit("mul.lo.s32", firstRow, first + inBand % ofBand, rows);
        w.Emit("mul.lo.s32", firstColumn, inBand / ofBand, columns);
    }
}
