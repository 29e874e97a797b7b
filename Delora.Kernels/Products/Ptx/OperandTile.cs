using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Where the numbers of an operand's tile lie in shared memory: rows (of the left operand) or columns (of the right one), called lines, times some
/// steps of the inner dimension. A chunk is 16 bytes of neighbors: steps of a line where the operand lies by depth, else lines of a step.
/// </summary>
/// <param name="Lines">Lines of the tile.</param>
/// <param name="ByDepth">Whether numbers along the inner dimension are neighbors in global memory.</param>
internal abstract record OperandTile(int Lines, bool ByDepth)
{
    /// <summary>Bytes that change places together.</summary>
    internal const int ChunkBytes = 16;

    /// <summary>Bytes of a number.</summary>
    internal abstract int NumberBytes { get; }

    /// <summary>Steps of the inner dimension in the tile.</summary>
    internal abstract int Depth { get; }

    /// <summary>The storage type whose numbers lie there bit by bit, so that they can be copied; null where there is none.</summary>
    internal abstract DType? StoredType { get; }

    /// <summary>Numbers of a chunk.</summary>
    internal int ChunkNumbers => ChunkBytes / NumberBytes;

    /// <summary>Rows of the tile in global memory.</summary>
    internal int Rows => ByDepth ? Lines : Depth;

    /// <summary>Chunks of such a row.</summary>
    internal int RowChunks => (ByDepth ? Depth : Lines) / ChunkNumbers;

    /// <summary>The byte of a chunk of a row in the tile; both are registers.</summary>
    internal abstract B32 Place(PtxWriter w, B32 row, B32 chunk);

    /// <summary>How many bytes further the same chunk lies so many rows on; null where that depends on the row.</summary>
    internal abstract int? Step(int rows);

    /// <summary>float32 numbers of a chunk as the tile keeps them.</summary>
    internal abstract PtxRegister[] Rounded(PtxWriter w, F32[] numbers);

    /// <summary>Stores a chunk.</summary>
    internal virtual void Store(PtxWriter w, PtxAddress to, PtxRegister[] chunk) => w.StoreShared(to, chunk);
}

/// <summary>
/// A tile for tensor cores: 64 bytes of each line. Rows lie as in global memory. Within a row chunks change places depending on the row (an exclusive or), so
/// that the eight chunks that a matrix load or a store touches at a time lie in different banks.
/// </summary>
/// <param name="Type">What the tensor cores multiply.</param>
/// <param name="Lines">Lines of the tile.</param>
/// <param name="ByDepth">Whether numbers along the inner dimension are neighbors.</param>
internal sealed record MmaTile(MmaType Type, int Lines, bool ByDepth) : OperandTile(Lines, ByDepth)
{
    /// <inheritdoc/>
    internal override int NumberBytes => Type == MmaType.TensorFloat32 ? 4 : 2;

    /// <inheritdoc/>
    internal override int Depth => ProductTile.DepthBytes / NumberBytes;

    /// <summary>tf32 has none: everything is rounded to it.</summary>
    internal override DType? StoredType => Type switch
    {
        MmaType.BFloat16 => DType.BFloat16,
        MmaType.Float16 => DType.Float16,
        _ => null,
    };

    /// <summary>Bytes of a row.</summary>
    internal int RowBytes => ByDepth ? ProductTile.DepthBytes : Lines * NumberBytes;

    /// <inheritdoc/>
    internal override B32 Place(PtxWriter w, B32 row, B32 chunk)
    {
        B32 turn =
            // Two rows of 64 bytes fill all banks: four pairs of them have four orders.
            ByDepth ? (row >> 1) & 3
            // tf32 is read by four rows of 32 bytes, numbers of 16 bits by eight of 16.
            : Type == MmaType.TensorFloat32 ? (row & 3) << 1
            : row & 7;
        return w.MultiplyAdd(row, RowBytes, (chunk ^ turn) << 4);
    }

    /// <inheritdoc/>
    internal override int? Step(int rows) => rows % (ByDepth || Type != MmaType.TensorFloat32 ? 8 : 4) == 0 ? rows * RowBytes : null;

    /// <inheritdoc/>
    internal override PtxRegister[] Rounded(PtxWriter w, F32[] numbers) =>
        StoredType is null
            ? [.. numbers.Select(w.RoundToTf32)]
            : [.. numbers.Chunk(2).Select(pair => w.Pack(ProductVariant.Word(Type), pair[0], pair[1]))];
}

/// <summary>
/// A tile for float32 arithmetic: 16 steps, each with the numbers of all lines, so that threads read neighbors of a step at once. Lines change places by
/// eights depending on the step, so that storing four steps of eight lines, which lie by depth in global memory, touches all banks once.
/// </summary>
/// <param name="Lines">Lines of the tile.</param>
/// <param name="ByDepth">Whether numbers along the inner dimension are neighbors in global memory.</param>
internal sealed record FloatTile(int Lines, bool ByDepth) : OperandTile(Lines, ByDepth)
{
    /// <summary>Steps of the inner dimension.</summary>
    internal const int Steps = 16;

    /// <inheritdoc/>
    internal override int NumberBytes => sizeof(float);

    /// <inheritdoc/>
    internal override int Depth => Steps;

    /// <summary>None: float32 could be copied where lines are neighbors, but waits for its turn in the registers as well as the rest.</summary>
    internal override DType? StoredType => null;

    /// <summary>Bytes of the tile.</summary>
    internal int ByteLength => Steps * StepBytes;

    /// <summary>Bytes of a step.</summary>
    internal int StepBytes => Lines * sizeof(float);

    /// <summary>By how many lines those of a step are turned.</summary>
    internal static int Turn(int step) => step / 4 % 4 * 8;

    /// <inheritdoc/>
    internal override B32 Place(PtxWriter w, B32 row, B32 chunk)
    {
        // A chunk is four steps of a line, or four lines of a step.
        return ByDepth
            ? w.MultiplyAdd(chunk, 4 * StepBytes, (row ^ (chunk << 3)) << 2)
            : w.MultiplyAdd(row, StepBytes, ((chunk << 2) ^ ((row >> 2) << 3)) << 2);
    }

    /// <inheritdoc/>
    internal override int? Step(int rows) => !ByDepth ? (rows % Steps == 0 ? rows * StepBytes : null) : rows % 32 == 0 ? rows * sizeof(float) : null;

    /// <inheritdoc/>
    internal override PtxRegister[] Rounded(PtxWriter w, F32[] numbers) => numbers;

    /// <inheritdoc/>
    internal override void Store(PtxWriter w, PtxAddress to, PtxRegister[] chunk)
    {
        if (!ByDepth) w.StoreShared(to, chunk);
        else for (int step = 0; step < chunk.Length; step++) w.StoreShared(to + step * StepBytes, chunk[step]);
    }
}
