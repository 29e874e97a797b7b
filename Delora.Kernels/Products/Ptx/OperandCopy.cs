using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Brings the tiles of an operand from global to shared memory, one after the other along the inner dimension. Each thread has the same chunks of every tile.
/// What lies outside of the inner dimension becomes zero; of lines outside of the operand nothing is stored, so that what stands there does not matter.
/// </summary>
internal abstract class OperandCopy
{
    private B32? _pitch;
    private B64[] _from = [];
    private (B32 Place, int Further)[] _places = [];

    private protected OperandCopy(PtxWriter w, ProductOperand operand, OperandTile tile)
    {
        (W, Operand, Tile) = (w, operand, tile);
        Count = tile.Rows * tile.RowChunks / w.Threads;
        RowStep = w.Threads / tile.RowChunks;
        Width = Math.Min(operand.Width, ChunkBytes);
        Pieces = ChunkBytes / Width;
        if (Count * w.Threads != tile.Rows * tile.RowChunks)
            throw new ArgumentException($"{w.Threads} threads cannot share {tile.Rows} rows of {tile.RowChunks} chunks", nameof(tile));
    }

    private protected PtxWriter W { get; }

    private protected ProductOperand Operand { get; }

    private protected OperandTile Tile { get; }

    /// <summary>Chunks of a tile that are a thread's.</summary>
    private protected int Count { get; }

    /// <summary>Rows between one chunk of a thread and the next.</summary>
    private protected int RowStep { get; }

    /// <summary>Bytes of a chunk in global memory.</summary>
    private protected int ChunkBytes => Tile.ChunkNumbers * Operand.Bits / 8;

    /// <summary>Bytes that are copied at a time.</summary>
    private protected int Width { get; }

    /// <summary>Copies that a chunk takes.</summary>
    private protected int Pieces { get; }

    /// <summary>The step in a tile at which the thread's first chunk begins.</summary>
    private protected B32 FirstDepth { get; private set; } = null!;

    /// <summary>The line at which it begins.</summary>
    private protected B32 FirstLine { get; private set; } = null!;

    /// <summary>Lines of the operand.</summary>
    private protected B32 LineCount { get; private set; } = null!;

    /// <summary>Whether the lines of the group's tile are all in the operand, where the copies ask for that; else null.</summary>
    private protected Pred? LinesInside { get; private set; }

    /// <summary>The copy that suits an operand: past the registers where nothing is to be converted.</summary>
    /// <param name="w">The kernel.</param>
    /// <param name="operand">The operand.</param>
    /// <param name="tile">Its tiles.</param>
    /// <param name="scales">The scales of codes.</param>
    /// <param name="mask">The dropout mask on it; null for none.</param>
    internal static OperandCopy Create(PtxWriter w, ProductOperand operand, OperandTile tile, B64 scales, MaskText? mask) =>
        mask is not null ? new MaskedCopy(w, operand, tile, mask)
        : operand.Codes is not null ? new CodeCopy(w, operand, tile, scales)
        : operand.Type == tile.StoredType && operand.Width >= 4 ? new AsyncCopy(w, operand, tile) : new StagedCopy(w, operand, tile);

    /// <summary>Makes the addresses of the thread's chunks.</summary>
    /// <param name="thread">The thread's number.</param>
    /// <param name="matrix">The operand.</param>
    /// <param name="lineCount">Its lines.</param>
    /// <param name="depthCount">Its steps of the inner dimension.</param>
    /// <param name="firstLine">The first line of the group's tile.</param>
    /// <param name="firstDepth">The first step of the first tile.</param>
    internal virtual void Begin(B32 thread, B64 matrix, B32 lineCount, B32 depthCount, B32 firstLine, B32 firstDepth)
    {
        B32 chunk = (thread & (Tile.RowChunks - 1)).As("chunk"), row = (thread / Tile.RowChunks).As("row");
        FindPlaces(row, chunk);
        B32 pitch = Pitch(Tile.ByDepth ? depthCount : lineCount).As("pitch");
        LineCount = lineCount;
        if (Tile.ByDepth)
        {
            FirstDepth = (chunk * Tile.ChunkNumbers).As("depth_in_tile");
            FirstLine = firstLine + row;
            B64 start = Along(matrix, firstDepth + FirstDepth);
            _from = new B64[Count];
            for (int i = 0; i < Count; i++) _from[i] = start.Plus(Line(i), pitch).As($"from{i}");
            return;
        }
        FirstDepth = row;
        FirstLine = (firstLine + chunk * Tile.ChunkNumbers).As("line");
        if (Pieces == 1) FirstLine = W.Min(FirstLine, (Operand.Codes is null ? lineCount : Groups(lineCount) * EncodedRows.Together) - Tile.ChunkNumbers);
        else LinesInside = (firstLine + Tile.Lines <= lineCount).As("lines_inside");
        _from = [Along(matrix.Plus(firstDepth + row, pitch), FirstLine).As("from0")];
        _pitch = pitch;
    }

    /// <summary>The line of a chunk, where the operand lies by depth; outside of the operand its last one.</summary>
    private protected B32 Line(int index) => W.Min(FirstLine + index * RowStep, LineCount - 1);

    /// <summary>The addresses of the thread's chunks in global memory.</summary>
    private protected B64[] Addresses()
    {
        if (Tile.ByDepth) return _from;
        var addresses = new B64[Count];
        for (int i = 0; i < Count; i++) addresses[i] = i == 0 ? _from[0] : _from[0].Plus(_pitch!, i * RowStep);
        return addresses;
    }

    /// <summary>The address of a chunk of the tile before: between its load and the next.</summary>
    private protected B64 Loaded(int index) =>
        _pitch is null ? _from[index] + -(Tile.Depth * Operand.Bits / 8) : _from[0].Plus(_pitch, index * RowStep - Tile.Depth);

    /// <summary>Whether a piece of chunk <paramref name="index"/> lies in the operand, of which <paramref name="depthLeft"/> steps are left.</summary>
    private protected Pred IsInside(int index, int piece, B32 depthLeft)
    {
        int pieceNumbers = 8 * Width / Operand.Bits;
        if (Tile.ByDepth) return FirstDepth + piece * pieceNumbers < depthLeft;
        Pred inside = FirstDepth + index * RowStep < depthLeft;
        return Pieces == 1 ? inside : inside & (FirstLine + piece * pieceNumbers < LineCount);
    }

    /// <summary>The addresses of the thread's chunks in a tile in shared memory that begins at <paramref name="tile"/>.</summary>
    private protected PtxAddress[] Places(B32 tile)
    {
        Dictionary<B32, B32> sums = [];
        foreach ((B32 place, _) in _places) if (!sums.ContainsKey(place)) sums.Add(place, tile + place);
        return [.. _places.Select(place => sums[place.Place].At(place.Further))];
    }

    /// <summary>Goes on to the next tile.</summary>
    private protected virtual void Advance()
    {
        if (_pitch is null) foreach (B64 from in _from) W.Increase(from, Tile.Depth * Operand.Bits / 8);
        else W.Emit("mad.wide.s32", _from[0], _pitch, Tile.Depth, _from[0]);
    }

    /// <summary>Bytes from a row of so many numbers to the next.</summary>
    private B32 Pitch(B32 count) => Operand.Codes is null ? count * Operand.Type.Size : Groups(count) * (EncodedRows.Together * Operand.Bits / 8);

    /// <summary>Groups of codes that lie together in a row of so many.</summary>
    private static B32 Groups(B32 count) => (count + (EncodedRows.Together - 1)) / EncodedRows.Together;

    /// <summary>The address so many numbers further along a row.</summary>
    private B64 Along(B64 row, B32 numbers) => Operand.Bits < 8 ? row.Plus(numbers / (8 / Operand.Bits), 1) : row.Plus(numbers, Operand.Bits / 8);

    /// <summary>The byte of each of the thread's chunks in a tile: a register, and what is constant behind it.</summary>
    private void FindPlaces(B32 row, B32 chunk)
    {
        _places = new (B32, int)[Count];
        for (int i = 0; i < Count; i++)
        {
            int earlier = Enumerable.Range(0, i).FirstOrDefault(before => Tile.Step((i - before) * RowStep) is not null, i);
            _places[i] = earlier < i
                ? (_places[earlier].Place, _places[earlier].Further + Tile.Step((i - earlier) * RowStep)!.Value)
                : (Tile.Place(W, i == 0 ? row : row + i * RowStep, chunk).As("place"), 0);
        }
    }
}

/// <summary>Copies of an operand that has the product's type already: <c>cp.async</c>, which needs no registers.</summary>
internal sealed class AsyncCopy(PtxWriter w, ProductOperand operand, OperandTile tile) : OperandCopy(w, operand, tile)
{
    /// <summary>Starts copying the next tile, of which <paramref name="depthLeft"/> steps are left, to <paramref name="to"/> in shared memory.</summary>
    internal void Copy(B32 to, B32 depthLeft)
    {
        PtxAddress[] places = Places(to);
        B64[] from = Addresses();
        B32[] bytes = [];
        for (int i = 0; i < Count; i++)
        {
            // Neighbors along the inner dimension: the same steps of every line.
            if (i == 0 || !Tile.ByDepth)
                bytes = [.. Enumerable.Range(0, Pieces).Select(piece => W.Select(IsInside(i, piece, depthLeft), Width, 0).As("bytes"))];
            for (int piece = 0; piece < Pieces; piece++)
                W.CopyAsync(places[i] + piece * Width, from[i].At(piece * Width), Width, bytes[piece]);
        }
        Advance();
    }
}
