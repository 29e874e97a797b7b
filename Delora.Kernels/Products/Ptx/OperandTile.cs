using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Where the numbers of an operand's tile lie in shared memory: <see cref="Lines"/> rows (left) or columns (right) of the product times 64 bytes of
/// the inner dimension. Rows in memory are lines where the operand lies by depth, else steps of the inner dimension. Within a row, chunks of 16 bytes change
/// places depending on the row (an exclusive or), so that the eight chunks that a matrix load or a store touches at a time lie in different banks.
/// </summary>
/// <param name="Type">What the numbers are in shared memory.</param>
/// <param name="Lines">Lines of the tile.</param>
/// <param name="ByDepth">Whether numbers along the inner dimension are neighbors.</param>
internal readonly record struct OperandTile(MmaType Type, int Lines, bool ByDepth)
{
    /// <summary>Bytes that change places together.</summary>
    internal const int ChunkBytes = 16;

    /// <summary>The storage type whose numbers lie there as they are; null for tf32, to which everything is rounded.</summary>
    internal DType? StoredType => Type switch
    {
        MmaType.BFloat16 => DType.BFloat16,
        MmaType.Float16 => DType.Float16,
        _ => null,
    };

    /// <summary>Bytes of a number: 2, in tf32 4.</summary>
    internal int NumberBytes => Type == MmaType.TensorFloat32 ? 4 : 2;

    /// <summary>Numbers of a chunk.</summary>
    internal int ChunkNumbers => ChunkBytes / NumberBytes;

    /// <summary>Steps of the inner dimension in the tile.</summary>
    internal int Depth => ProductTile.DepthBytes / NumberBytes;

    /// <summary>Bytes of a row of the tile.</summary>
    internal int RowBytes => ByDepth ? ProductTile.DepthBytes : Lines * NumberBytes;

    /// <summary>Chunks of a row of the tile.</summary>
    internal int RowChunks => RowBytes / ChunkBytes;

    /// <summary>Rows of the tile.</summary>
    internal int Rows => ByDepth ? Lines : Depth;

    /// <summary>After how many rows the places repeat.</summary>
    internal int Period => !ByDepth && Type == MmaType.TensorFloat32 ? 4 : 8;

    /// <summary>The byte of a chunk of a row; both are registers.</summary>
    internal B32 Place(PtxWriter w, B32 row, B32 chunk) => w.MultiplyAdd(row, RowBytes, (chunk ^ Turn(row)) << 4);

    /// <summary>What the number of a chunk is combined with.</summary>
    internal B32 Turn(B32 row) =>
        // Two rows of 64 bytes fill all banks: four pairs of them have four orders.
        ByDepth ? (row >> 1) & 3
        // Numbers of 16 bits are read by eight rows at a time, tf32 by four rows of 32 bytes.
        : Type == MmaType.TensorFloat32 ? (row & 3) << 1
        : row & 7;
}
