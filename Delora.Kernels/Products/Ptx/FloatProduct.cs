using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Writes the matrix product in float32 arithmetic: a thread makes 8 × 8 of c, 2 × 2 blocks of 4 × 4, from two stages in shared memory that take
/// turns. While one is multiplied the other is filled: the left operand's tile passes through registers in the first half of the steps, the right
/// one's in the second, so that half of the registers suffice. The numbers of a step are loaded during the step before. Operands of 16 bits are
/// widened on their way, which loses nothing.
/// </summary>
internal sealed class FloatProduct : ProductWriter
{
    private const int Block = 4;

    private const int StepsAhead = 2;

    // A warp has 8 × 4 threads; its rows and columns come twice.
    private const int RowsBetween = 8 * Block, ColumnsBetween = 4 * Block;

    private readonly F32[][] _sums;
    private readonly StagedCopy[] _copies;
    private readonly B32 _row, _column, _leftPlace, _rightPlace;

    internal FloatProduct(ProductVariant variant) : base(
        variant, new FloatTile(variant.Tile.Rows, variant.Left.ByDepth), new FloatTile(variant.Tile.Columns, variant.Right.ByDepth),
        // Nothing in it is newer than the first cards with these instructions.
        new PtxWriter(variant.Name, variant.Tile.Threads, variant.Tile.GroupsPerProcessor, "sm_60", "6.0"), "A thread makes 8 × 8.")
    {
        (_row, _column) = ((FirstRow + WarpRow + ((Lane >> 2) << 2)).As("c_row"), (FirstColumn + WarpColumn + ((Lane & 3) << 2)).As("c_column"));
        _copies = [.. BeginCopies().Cast<StagedCopy>()];
        _leftPlace = ((WarpRow + ((Lane >> 2) << 2)) << 2).As("left_place");
        _rightPlace = (((WarpColumn + ((Lane & 3) << 2)) << 2) + RightOffset).As("right_place");
        _sums = [.. Enumerable.Range(0, 2 * Block).Select(i => W.New<F32>($"sum{i}_", 2 * Block))];
        foreach (F32 sum in _sums.SelectMany(row => row)) W.Set(sum, 0f);
    }

    /// <summary>The least compute capability that runs it.</summary>
    internal static int Capability => 60;

    private protected override void WriteLoop()
    {
        WriteBranch(0, stage => MultiplyTile(stage, () => { }));
        if (Variant.Mask == ProductMask.Branch) MaskSums();
        B32 readStage = (Stages + 0).As("read_stage"), writeStage = (Stages + Tile.StageBytes).As("write_stage");
        W.Comment("Tile 0");
        for (int side = 0; side < 2; side++)
        {
            _copies[side].Load(DepthLeft);
            _copies[side].Store(Side(readStage, side));
        }
        W.Barrier();
        PtxLabel end = W.Label("end_tiles");
        W.Branch(end, TileCount <= 0);
        W.Loop("tiles", () =>
        {
            W.Increase(DepthLeft, -FloatTile.Steps);
            _copies[0].Load(DepthLeft);
            MultiplyTile(readStage, () =>
            {
                _copies[0].Store(writeStage);
                _copies[1].Load(DepthLeft);
            });
            _copies[1].Store(Side(writeStage, 1));
            W.Barrier();
            W.Comment("The stages change places");
            B32 read = W.New<B32>("was_read");
            W.Set(read, readStage);
            W.Set(readStage, writeStage);
            W.Set(writeStage, read);
            W.Increase(TileCount, -1);
            return TileCount > 0;
        });
        W.Place(end);
    }

    private protected override void WriteOutput()
    {
        using (W.Scope("Bias, activation, what was before, and the output"))
        {
            Store(
                _row, _column, [.. Enumerable.Range(0, 2 * Block).Select(RowOf)], [0, ColumnsBetween], (r, c) => _sums[r][(c * Block)..((c + 1) * Block)]);
        }
    }

    /// <summary>A row of the thread's sums, from its first one on.</summary>
    private static int RowOf(int i) => i / Block * RowsBetween + i % Block;

    /// <summary>The mask on what the branch has summed; four neighbors of a row at a time.</summary>
    private void MaskSums()
    {
        for (int i = 0; i < 2 * Block; i++)
            using (W.Scope($"The mask of row {RowOf(i)} of the thread"))
            {
                B64 row = W.Result<B64>("mul.wide.s32", _row + RowOf(i), N);
                for (int block = 0; block < 2; block++)
                {
                    F32[] factors = Mask!.Factors(row + W.Long(_column + block * ColumnsBetween));
                    for (int j = 0; j < Block; j++) W.Emit("mul.f32", _sums[i][block * Block + j], _sums[i][block * Block + j], factors[j]);
                }
            }
    }

    /// <summary>Adds the products of all steps of a stage, and does something else after half of them.</summary>
    private void MultiplyTile(B32 stage, Action between)
    {
        using (W.Scope($"{FloatTile.Steps} steps"))
        {
            B32 left = (stage + _leftPlace).As("left_at"), right = (stage + _rightPlace).As("right_at");
            F32[][] a = [W.New<F32>("a0_", 2 * Block), W.New<F32>("a1_", 2 * Block)], b = [W.New<F32>("b0_", 2 * Block), W.New<F32>("b1_", 2 * Block)];
            LoadStep(0);
            for (int step = 0; step < FloatTile.Steps; step++)
            {
                // Loads stay behind it: the assembler would begin more of them than there are registers.
                if (step % StepsAhead == StepsAhead - 1) W.Emit("bar.warp.sync", "0xffffffff");
                if (step + 1 < FloatTile.Steps) LoadStep(step + 1);
                for (int i = 0; i < 2 * Block; i++)
                    for (int j = 0; j < 2 * Block; j++) W.MultiplyAdd(_sums[i][j], a[step % 2][i], b[step % 2][j]);
                if (step + 1 == FloatTile.Steps / 2) between();
            }

            void LoadStep(int step)
            {
                // Lines change places by eights: the address by an exclusive or, and the second columns, 16 further, by their sign.
                int turn = FloatTile.Turn(step);
                LoadBlocks(a[step % 2], turn == 0 ? left : left ^ (turn * sizeof(float)), step * ((FloatTile)LeftTile).StepBytes, RowsBetween);
                LoadBlocks(
                    b[step % 2], turn == 0 ? right : right ^ (turn * sizeof(float)), step * ((FloatTile)RightTile).StepBytes,
                    (turn & ColumnsBetween) == 0 ? ColumnsBetween : -ColumnsBetween);
            }

            void LoadBlocks(F32[] to, B32 at, int offset, int between)
            {
                W.LoadShared(at.At(offset), to[..Block]);
                W.LoadShared(at.At(offset + between * sizeof(float)), to[Block..]);
            }
        }
    }
}
