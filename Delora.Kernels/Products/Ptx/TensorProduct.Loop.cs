using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

// The inner loop: copies, fragments, products.
internal sealed partial class TensorProduct
{
    private bool HasAsyncCopies => _copies.Any(copy => copy is AsyncCopy);

    private OperandCopy[] _copies = [];
    private B32 _depthLeft = null!, _tiles = null!, _writeStage = null!, _readStage = null!, _storeStage = null!, _sharedEnd = null!;

    private void WriteLoop(B32 split)
    {
        _w.Comment($"The part of the inner dimension, in tiles of {_leftTile.Depth} steps");
        B32 firstDepth = (split * _tilesOfSplit * _leftTile.Depth).As("first_depth");
        _depthLeft = _w.Min(_k - firstDepth, _tilesOfSplit * _leftTile.Depth).As("depth_left");
        _tiles = ((_depthLeft + (_leftTile.Depth - 1)) / _leftTile.Depth).As("tiles");
        _copies = [Begin(_variant.Left, _leftTile, _left, _m, _firstRow, firstDepth), Begin(_variant.Right, _rightTile, _right, _n, _firstColumn, firstDepth)];
        _sharedEnd = (_shared + _tile.SharedBytes).As("shared_end");
        _writeStage = (_shared + 0).As("write_stage");
        _readStage = (_shared + 0).As("read_stage");
        _storeStage = (_shared + (_tile.Stages - 2) * _tile.StageBytes).As("store_stage");
        for (int stage = 0; stage < _tile.Stages - 1; stage++)
        {
            _w.Comment($"Tile {stage}");
            CopyAsync(_writeStage);
            LoadStaged();
            if (stage < _tile.Stages - 2) StoreStaged(_writeStage);
            NextTile();
        }
        if (_branch is not null) WriteBranch(split);

        B32[][][] left = [_leftFragments.New("a0_"), _leftFragments.New("a1_")], right = [_rightFragments.New("b0_"), _rightFragments.New("b1_")];
        PtxLabel end = _w.Label("end_tiles");
        _w.Branch(end, _tiles <= 0);
        WaitForTile();
        LoadFragments(0);
        _w.Loop("tiles", () =>
        {
            _w.Comment("First step: the fragments of the second are loaded meanwhile, and a tile further ahead is asked for");
            LoadFragments(1);
            StoreStaged(_storeStage);
            _w.Set(_storeStage, _writeStage);
            CopyAsync(_writeStage);
            LoadStaged();
            NextTile();
            Multiply(left[0], right[0]);
            _w.Comment("Second step: the next tile is there when all threads say so, and its first fragments are loaded meanwhile");
            WaitForTile();
            NextStage(_readStage);
            LoadFragments(0);
            Multiply(left[1], right[1]);
            _w.Increase(_tiles, -1);
            return _tiles > 0;
        });
        _w.Place(end);
        if (HasAsyncCopies) _w.WaitForCopies(0);

        void LoadFragments(int step)
        {
            if (step == 0)
            {
                _leftFragments.MoveTo(_readStage);
                _rightFragments.MoveTo(_readStage);
            }
            _leftFragments.Load(step, left[step]);
            _rightFragments.Load(step, right[step]);
        }
    }

    private OperandCopy Begin(ProductOperand operand, OperandTile tile, B64 matrix, B32 lines, B32 firstLine, B32 firstDepth)
    {
        OperandCopy copy = OperandCopy.Create(_w, operand, tile);
        copy.Begin(_thread, matrix, lines, _k, firstLine, firstDepth);
        return copy;
    }

    private void CopyAsync(B32 stage)
    {
        for (int side = 0; side < 2; side++)
            if (_copies[side] is AsyncCopy copy) copy.Copy(Side(stage, side), _depthLeft);
        if (HasAsyncCopies) _w.CommitCopies();
    }

    private void LoadStaged()
    {
        foreach (StagedCopy copy in _copies.OfType<StagedCopy>()) copy.Load(_depthLeft);
    }

    private void StoreStaged(B32 stage)
    {
        for (int side = 0; side < 2; side++)
            if (_copies[side] is StagedCopy copy) copy.Store(Side(stage, side));
    }

    /// <summary>Where the operand of a side begins in a stage.</summary>
    private B32 Side(B32 stage, int side) => side == 0 ? stage : stage + _tile.Rows * ProductTile.DepthBytes;

    private void NextTile()
    {
        _w.Increase(_depthLeft, -_leftTile.Depth);
        NextStage(_writeStage);
    }

    private void NextStage(B32 stage)
    {
        _w.Increase(stage, _tile.StageBytes);
        _w.Emit("selp.b32", stage, _shared, stage, stage >= _sharedEnd);
    }

    private void WaitForTile()
    {
        if (HasAsyncCopies) _w.WaitForCopies(_tile.Stages - 2);
        _w.Barrier();
    }

    private void Multiply(B32[][] left, B32[][] right)
    {
        // There and back again: each product shares a fragment with the one before.
        for (int row = 0; row < RowBlocks; row++)
            for (int i = 0; i < ColumnBlocks; i++)
            {
                int column = row % 2 == 0 ? i : ColumnBlocks - 1 - i;
                _w.Mma(_variant.Type, _sums[row * ColumnBlocks + column], left[row], right[column]);
            }
    }

    /// <summary>
    /// The branch, while the first tiles of the base are on their way: a few tiles, one after the other, through the stage that none of them goes to. Where the inner
    /// dimension is split, its first part has the branch.
    /// </summary>
    private void WriteBranch(B32 split)
    {
        (B64 left, B64 right, B32 rank) = _branch!.Value;
        using (_w.If(split.Is(0), "branch"))
        using (_w.Scope("The low-rank branch"))
        {
            StagedCopy[] copies = [Copy(_variant.Branch!.Value.Left, _leftTile, left, _m, _firstRow), Copy(_variant.Branch.Value.Right, _rightTile, right, _n, _firstColumn)];
            B32 stage = (_shared + (_tile.Stages - 1) * _tile.StageBytes).As("branch_stage"), leftDepth = (rank + 0).As("rank_left");
            _leftFragments.MoveTo(stage);
            _rightFragments.MoveTo(stage);
            B32[][] a = _leftFragments.New("branch_a"), b = _rightFragments.New("branch_b");
            B32 tiles = ((rank + (_leftTile.Depth - 1)) / _leftTile.Depth).As("branch_tiles");
            _w.For("branch_tile", tiles, _ =>
            {
                foreach (StagedCopy copy in copies) copy.Load(leftDepth);
                for (int side = 0; side < 2; side++) copies[side].Store(Side(stage, side));
                _w.Increase(leftDepth, -_leftTile.Depth);
                _w.Barrier();
                for (int step = 0; step < 2; step++)
                {
                    _leftFragments.Load(step, a);
                    _rightFragments.Load(step, b);
                    Multiply(a, b);
                }
                _w.Barrier();
            });

            StagedCopy Copy(ProductOperand operand, OperandTile tile, B64 matrix, B32 lines, B32 firstLine)
            {
                StagedCopy copy = new(_w, operand, tile);
                copy.Begin(_thread, matrix, lines, rank, firstLine, _w.Constant(0));
                return copy;
            }
        }
    }
}
