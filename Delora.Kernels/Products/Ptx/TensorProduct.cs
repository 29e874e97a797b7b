using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Writes the matrix product on tensor cores, accumulated and stored in float32. Tiles of the operands pass through shared memory, <see
/// cref="ProductTile.Stages"/> of them on their way at a time; a warp loads the fragments of the next step while it multiplies those of this one.
/// The order of every sum depends on the variant and the sizes alone.
/// </summary>
internal sealed class TensorProduct : ProductWriter
{
    private readonly MmaType _type;
    private readonly F32[][] _sums;
    private readonly OperandFragments _left, _right;
    private readonly B32 _row, _column, _stagesEnd, _writeStage, _readStage, _storeStage;
    private readonly OperandCopy[] _copies;

    internal TensorProduct(ProductVariant variant, MmaType type) : base(
        variant, new MmaTile(type, variant.Tile.Rows, variant.Left.ByDepth), new MmaTile(type, variant.Tile.Columns, variant.Right.ByDepth),
        new PtxWriter(variant.Name, variant.Tile.Threads, variant.Tile.GroupsPerProcessor), $"Tensor cores; {variant.Tile.Stages} stages of tiles.")
    {
        _type = type;
        _left = new(W, (MmaTile)LeftTile, true, Tile.WarpRows, WarpRow, Lane, 0);
        _right = new(W, (MmaTile)RightTile, false, Tile.WarpColumns, WarpColumn, Lane, RightOffset);
        _sums = [.. Enumerable.Range(0, RowBlocks * ColumnBlocks).Select(i => W.New<F32>($"sum{i}_", 4))];
        foreach (F32 sum in _sums.SelectMany(block => block)) W.Set(sum, 0f);
        (_row, _column) = ((FirstRow + WarpRow + (Lane >> 2)).As("c_row"), (FirstColumn + WarpColumn + ((Lane & 3) << 1)).As("c_column"));
        _copies = BeginCopies();
        _stagesEnd = (Stages + Tile.SharedBytes).As("stages_end");
        _writeStage = (Stages + 0).As("write_stage");
        _readStage = (Stages + 0).As("read_stage");
        _storeStage = (Stages + (Tile.Stages - 2) * Tile.StageBytes).As("store_stage");
    }

    private int RowBlocks => Tile.WarpRows / 16;

    private int ColumnBlocks => Tile.WarpColumns / 8;

    private bool HasAsyncCopies => _copies.Any(copy => copy is AsyncCopy);

    private protected override void WriteLoop()
    {
        for (int stage = 0; stage < Tile.Stages - 1; stage++)
        {
            W.Comment($"Tile {stage}");
            CopyAsync();
            LoadStaged();
            if (stage < Tile.Stages - 2) StoreStaged(_writeStage);
            NextTile();
        }
        WriteBranch(Tile.Stages - 1, stage =>
        {
            MoveTo(stage);
            B32[][] a = _left.New("branch_a"), b = _right.New("branch_b");
            for (int step = 0; step < 2; step++)
            {
                _left.Load(step, a);
                _right.Load(step, b);
                Multiply(a, b);
            }
        });
        B32[][][] left = [_left.New("a0_"), _left.New("a1_")], right = [_right.New("b0_"), _right.New("b1_")];
        PtxLabel end = W.Label("end_tiles");
        W.Branch(end, TileCount <= 0);
        WaitForTile();
        MoveTo(_readStage);
        LoadFragments(0);
        W.Loop("tiles", () =>
        {
            W.Comment("First step: the fragments of the second are loaded meanwhile, and a tile further ahead is asked for");
            LoadFragments(1);
            StoreStaged(_storeStage);
            W.Set(_storeStage, _writeStage);
            CopyAsync();
            LoadStaged();
            NextTile();
            Multiply(left[0], right[0]);
            W.Comment("Second step: the next tile is there when all threads say so, and its first fragments are loaded meanwhile");
            WaitForTile();
            NextStage(_readStage);
            MoveTo(_readStage);
            LoadFragments(0);
            Multiply(left[1], right[1]);
            W.Increase(TileCount, -1);
            return TileCount > 0;
        });
        W.Place(end);
        if (HasAsyncCopies) W.WaitForCopies(0);

        void LoadFragments(int step)
        {
            _left.Load(step, left[step]);
            _right.Load(step, right[step]);
        }
    }

    private protected override void WriteOutput()
    {
        using (W.Scope("Bias, activation, what was before, and the output"))
        {
            Store(
                _row, _column, [.. Enumerable.Range(0, 2 * RowBlocks).Select(i => 8 * i)], [.. Enumerable.Range(0, ColumnBlocks).Select(i => 8 * i)],
                (r, c) => _sums[r / 2 * ColumnBlocks + c][(r % 2 * 2)..(r % 2 * 2 + 2)]);
        }
    }

    private void MoveTo(B32 stage)
    {
        _left.MoveTo(stage);
        _right.MoveTo(stage);
    }

    private void CopyAsync()
    {
        for (int side = 0; side < 2; side++)
            if (_copies[side] is AsyncCopy copy) copy.Copy(Side(_writeStage, side), DepthLeft);
        if (HasAsyncCopies) W.CommitCopies();
    }

    private void LoadStaged()
    {
        foreach (StagedCopy copy in _copies.OfType<StagedCopy>()) copy.Load(DepthLeft);
    }

    private void StoreStaged(B32 stage)
    {
        for (int side = 0; side < 2; side++)
            if (_copies[side] is StagedCopy copy) copy.Store(Side(stage, side));
    }

    private void NextTile()
    {
        W.Increase(DepthLeft, -LeftTile.Depth);
        NextStage(_writeStage);
    }

    private void NextStage(B32 stage)
    {
        W.Increase(stage, Tile.StageBytes);
        W.Emit("selp.b32", stage, Stages, stage, stage >= _stagesEnd);
    }

    private void WaitForTile()
    {
        if (HasAsyncCopies) W.WaitForCopies(Tile.Stages - 2);
        W.Barrier();
    }

    private void Multiply(B32[][] left, B32[][] right)
    {
        // There and back again: each product shares a fragment with the one before.
        for (int row = 0; row < RowBlocks; row++)
            for (int i = 0; i < ColumnBlocks; i++)
            {
                int column = row % 2 == 0 ? i : ColumnBlocks - 1 - i;
                W.Mma(_type, _sums[row * ColumnBlocks + column], left[row], right[column]);
            }
    }
}
