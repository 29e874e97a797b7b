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
    private B32 _firstDepth = null!;
    private (B32 First, B32 Count) _line;
    private B64[] _from = [];
    private (B32 Place, int Further)[] _places = [];

    private protected OperandCopy(PtxWriter w, ProductOperand operand, OperandTile tile)
    {
        (W, Operand, Tile) = (w, operand, tile);
        Count = tile.Rows * tile.RowChunks / w.Threads;
        RowStep = w.Threads / tile.RowChunks;
        Width = Math.Min(operand.Width, tile.ChunkNumbers * operand.Type.Size);
        Pieces = tile.ChunkNumbers * operand.Type.Size / Width;
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

    /// <summary>Bytes that are copied at a time.</summary>
    private protected int Width { get; }

    /// <summary>Copies that a chunk takes.</summary>
    private protected int Pieces { get; }

    /// <summary>Whether the lines of the group's tile are all in the operand, where the copies ask for that; else null.</summary>
    private protected Pred? LinesInside { get; private set; }

    /// <summary>The copy that suits an operand: past the registers where nothing is to be converted.</summary>
    internal static OperandCopy Create(PtxWriter w, ProductOperand operand, OperandTile tile) =>
        operand.Type == tile.StoredType && operand.Width >= 4 ? new AsyncCopy(w, operand, tile) : new StagedCopy(w, operand, tile);

    /// <summary>Makes the addresses of the thread's chunks.</summary>
    /// <param name="thread">The thread's number.</param>
    /// <param name="matrix">The operand.</param>
    /// <param name="lineCount">Its lines.</param>
    /// <param name="depthCount">Its steps of the inner dimension.</param>
    /// <param name="firstLine">The first line of the group's tile.</param>
    /// <param name="firstDepth">The first step of the first tile.</param>
    internal void Begin(B32 thread, B64 matrix, B32 lineCount, B32 depthCount, B32 firstLine, B32 firstDepth)
    {
        int size = Operand.Type.Size;
        B32 chunk = (thread & (Tile.RowChunks - 1)).As("chunk"), row = (thread / Tile.RowChunks).As("row");
        FindPlaces(row, chunk);
        B32 pitch = ((Tile.ByDepth ? depthCount : lineCount) * size).As("pitch");
        if (Tile.ByDepth)
        {
            _firstDepth = (chunk * Tile.ChunkNumbers).As("depth_in_tile");
            B64 start = matrix.Plus(firstDepth + _firstDepth, size);
            B32 line = firstLine + row, last = lineCount - 1;
            _from = new B64[Count];
            for (int i = 0; i < Count; i++) _from[i] = start.Plus(W.Min(line + i * RowStep, last), pitch).As($"from{i}");
            return;
        }
        _firstDepth = row;
        B32 first = (firstLine + chunk * Tile.ChunkNumbers).As("line");
        if (Pieces == 1) first = W.Min(first, lineCount - Tile.ChunkNumbers);
        else LinesInside = (firstLine + Tile.Lines <= lineCount).As("lines_inside");
        _line = (first, lineCount);
        _from = [matrix.Plus(firstDepth + row, pitch).Plus(first, size).As("from0")];
        _pitch = pitch;
    }

    /// <summary>The addresses of the thread's chunks in global memory.</summary>
    private protected B64[] Addresses()
    {
        if (Tile.ByDepth) return _from;
        var addresses = new B64[Count];
        for (int i = 0; i < Count; i++) addresses[i] = i == 0 ? _from[0] : _from[0].Plus(_pitch!, i * RowStep);
        return addresses;
    }

    /// <summary>Whether a piece of chunk <paramref name="index"/> lies in the operand, of which <paramref name="depthLeft"/> steps are left.</summary>
    private protected Pred IsInside(int index, int piece, B32 depthLeft)
    {
        int pieceNumbers = Width / Operand.Type.Size;
        if (Tile.ByDepth) return _firstDepth + piece * pieceNumbers < depthLeft;
        Pred inside = _firstDepth + index * RowStep < depthLeft;
        return Pieces == 1 ? inside : inside & (_line.First + piece * pieceNumbers < _line.Count);
    }

    /// <summary>The addresses of the thread's chunks in a tile in shared memory that begins at <paramref name="tile"/>.</summary>
    private protected PtxAddress[] Places(B32 tile)
    {
        Dictionary<B32, B32> sums = [];
        foreach ((B32 place, _) in _places) if (!sums.ContainsKey(place)) sums.Add(place, tile + place);
        return [.. _places.Select(place => sums[place.Place].At(place.Further))];
    }

    /// <summary>Goes on to the next tile.</summary>
    private protected void Advance()
    {
        if (_pitch is null) foreach (B64 from in _from) W.Increase(from, Tile.Depth * Operand.Type.Size);
        else W.Emit("mad.wide.s32", _from[0], _pitch, Tile.Depth, _from[0]);
    }

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
