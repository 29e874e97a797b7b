using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// The fragments of an operand that a warp multiplies: read from a tile in shared memory in the order of <see cref="PtxWriter.Mma"/>, 16 lines at a time (one
/// fragment of the left operand, two of the right one), for one of the two steps that a tile has.
/// </summary>
internal sealed class OperandFragments
{
    private const int BlockLines = 16;

    // Of 16-bit numbers.
    private const int StepDepth = 16;

    private readonly PtxWriter _w;
    private readonly MmaTile _tile;
    private readonly bool _isLeft;
    private readonly int _blocks;
    private readonly int _offset;
    private readonly B32 _place;
    private readonly B32 _at;

    /// <summary>Makes the addresses of a lane within a tile.</summary>
    /// <param name="w">The kernel.</param>
    /// <param name="tile">The operand's tile.</param>
    /// <param name="isLeft">Which operand it is.</param>
    /// <param name="lines">Lines of the warp's part.</param>
    /// <param name="firstLine">The first of them.</param>
    /// <param name="lane">The thread's number in its warp.</param>
    /// <param name="offset">Bytes from the beginning of a stage to the operand's tile.</param>
    internal OperandFragments(PtxWriter w, MmaTile tile, bool isLeft, int lines, B32 firstLine, B32 lane, int offset)
    {
        (_w, _tile, _isLeft, _blocks, _offset) = (w, tile, isLeft, lines / BlockLines, offset);
        (B32 row, B32 chunk, B32? byteOfChunk) = Place(firstLine, lane);
        _place = tile.Place(w, row, chunk);
        if (byteOfChunk is not null) _place += byteOfChunk;
        string side = isLeft ? "left" : "right";
        _place.As($"{side}_place");
        _at = w.New<B32>($"{side}_at");
    }

    /// <summary>Registers of all fragments of a step.</summary>
    internal B32[][] New(string name) =>
        [.. Enumerable.Range(0, _isLeft ? _blocks : 2 * _blocks).Select(i => _w.New<B32>($"{name}{i}_", _isLeft ? 4 : 2))];

    /// <summary>From now on fragments come from the stage that begins at <paramref name="stage"/>.</summary>
    internal void MoveTo(B32 stage) => _w.Emit("add.s32", _at, _place, stage);

    /// <summary>Loads the fragments of a step, 0 or 1.</summary>
    internal void Load(int step, B32[][] to)
    {
        for (int block = 0; block < _blocks; block++)
        {
            B32[] registers = _isLeft ? to[block] : [.. to[2 * block], .. to[2 * block + 1]];
            if (_tile.ByDepth) _w.LoadMatrices(Chunks(2 * step).At(_offset + block * BlockLines * _tile.RowBytes), false, registers);
            else if (_tile.Type == MmaType.TensorFloat32) LoadWide(step, block, registers);
            else _w.LoadMatrices(Chunks(2 * block).At(_offset + step * StepDepth * _tile.RowBytes), true, registers);
        }
    }

    /// <summary>The address of a chunk so many further than the lane's first. The first is at a multiple of all that is asked for, so that adding is
    /// an exclusive or.</summary>
    private B32 Chunks(int further) => further == 0 ? _at : _at ^ (further * OperandTile.ChunkBytes);

    /// <summary>The row and the chunk of a lane's first address in a tile, and for numbers of 32 bits that are loaded one by one the byte in that
    /// chunk.</summary>
    private (B32 Row, B32 Chunk, B32? Byte) Place(B32 firstLine, B32 lane)
    {
        if (_tile.ByDepth)
        {
            // Rows are lines. Matrices of 8 lines × 16 bytes: the left operand has lines 0–7 and 8–15 at the first half of the step, then at the second; the
            // right one has both halves of its first fragment, then of its second.
            return _isLeft
                ? (firstLine + (lane & 15), lane >> 4, null)
                : (firstLine + (((lane >> 4) << 3) | (lane & 7)), (lane >> 3) & 1, null);
        }
        if (_tile.Type == MmaType.TensorFloat32)
        {
            // Matrices of 32-bit numbers cannot be turned: each lane loads its own.
            B32 line = firstLine + (lane >> 2);
            return (lane & 3, line >> 2, (line & 3) << 2);
        }
        // Rows are steps of the inner dimension, matrices are turned while they are loaded.
        B32 chunk = firstLine >> 3;
        return _isLeft
            ? (((lane >> 4) << 3) | (lane & 7), chunk + ((lane >> 3) & 1), null)
            : (lane & 15, chunk + (lane >> 4), null);
    }

    // Blocks of 8 lines are two chunks; the exclusive or moves four of them, the next four follow.
    private void LoadWide(int step, int block, B32[] registers)
    {
        for (int i = 0; i < 4; i++)
        {
            // Left: two eighths, then four steps further; right: both halves of the first fragment, then of the second.
            int eighth = 2 * block + (_isLeft ? i & 1 : i >> 1), depth = 8 * step + 4 * (_isLeft ? i >> 1 : i & 1);
            _w.LoadShared(Chunks(2 * (eighth & 3)).At(_offset + depth * _tile.RowBytes + (eighth >> 2) * 128), registers[i]);
        }
    }
}
