using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// What the texts of all products share, c = f(op(a)·op(b) + op(a₂)·op(b₂) + bias) + before: parameters, which tile of c a group makes, where its threads
/// are in it, and how the output is stored.
/// </summary>
internal abstract class ProductWriter
{
    private readonly B64 _scales, _c, _bias, _before, _kept, _splitBytes;

    private protected ProductWriter(ProductVariant variant, OperandTile left, OperandTile right, PtxWriter writer, string about)
    {
        (Variant, LeftTile, RightTile, W) = (variant, left, right, writer);
        ProductTile tile = variant.Tile;
        W.About($"c [batch, m, n] = f(op(a)·op(b) + bias) + before in {variant.TypeName} with float32 sums. {about}");
        W.About($"A group makes {tile.Rows} × {tile.Columns} of c, a warp {tile.WarpRows} × {tile.WarpColumns} of that,");
        W.About($"{left.Depth} steps of the inner dimension at a time.");
        W.About("Grid: tiles of c, parts of the inner dimension, batch.");
        (Left, Right) = (W.Pointer("left", variant.Left.Width), W.Pointer("right", variant.Right.Width));
        (_scales, _c, _bias) = (W.Pointer("scales"), W.Pointer("c"), W.Pointer("bias"));
        if (variant.Branch is { } pair)
            Branch = (W.Pointer("branch_left", pair.Left.Width), W.Pointer("branch_right", pair.Right.Width), W.Parameter("rank"));
        (M, N, K) = (W.Parameter("m"), W.Parameter("n"), W.Parameter("k"));
        TilesOfSplit = W.Parameter("tiles_of_split");
        // What is added, c itself or a residual, and where the sums go that f is of; 0 for neither.
        (_before, _kept, _splitBytes) = (W.Pointer("before"), W.Pointer("kept"), W.LongParameter("split_bytes"));
        Mask = variant.Mask switch
        {
            null => null,
            ProductMask.Left => new MaskText(W, left.ByDepth ? K : M),
            ProductMask.Right => new MaskText(W, right.ByDepth ? K : N),
            _ => new MaskText(W, N),
        };
        Thread = W.ThreadX();
        Lane = (Thread & 31).As("lane");
        B32 warp = (Thread >> 5).As("warp");
        int across = tile.Columns / tile.WarpColumns;
        WarpRow = (warp / across * tile.WarpRows).As("warp_row");
        WarpColumn = (warp % across * tile.WarpColumns).As("warp_column");
        Split = W.Group('y');
        Stages = W.AddressOf(W.Shared("stages", tile.SharedBytes));
        (FirstRow, FirstColumn) = (W.New<B32>("first_row"), W.New<B32>("first_column"));
        FindTile();
        using (W.Scope("Which matrices of the batch"))
        {
            MoveToBatch(Left, M, K, variant.Left.Type);
            if (variant.Right.Codes is null) MoveToBatch(Right, K, N, variant.Right.Type);
        }
        FirstDepth = (Split * TilesOfSplit * left.Depth).As("first_depth");
        DepthLeft = W.Min(K - FirstDepth, TilesOfSplit * left.Depth).As("depth_left");
        TileCount = ((DepthLeft + (left.Depth - 1)) / left.Depth).As("tiles");
    }

    private protected PtxWriter W { get; }

    private protected ProductVariant Variant { get; }

    private protected ProductTile Tile => Variant.Tile;

    private protected OperandTile LeftTile { get; }

    private protected OperandTile RightTile { get; }

    private protected B64 Left { get; }

    private protected B64 Right { get; }

    /// <summary>The operands of the low-rank branch and their inner dimension.</summary>
    private protected (B64 Left, B64 Right, B32 Rank)? Branch { get; }

    /// <summary>The dropout mask, where there is one.</summary>
    private protected MaskText? Mask { get; }

    private protected B32 M { get; }

    private protected B32 N { get; }

    private protected B32 K { get; }

    private protected B32 TilesOfSplit { get; }

    private protected B32 Thread { get; }

    private protected B32 Lane { get; }

    /// <summary>The first row of the warp's part in the group's tile.</summary>
    private protected B32 WarpRow { get; }

    /// <summary>The first column of the warp's part in the group's tile.</summary>
    private protected B32 WarpColumn { get; }

    /// <summary>The first row of the group's tile in c.</summary>
    private protected B32 FirstRow { get; }

    /// <summary>The first column of the group's tile in c.</summary>
    private protected B32 FirstColumn { get; }

    /// <summary>Which part of the inner dimension.</summary>
    private protected B32 Split { get; }

    /// <summary>The first step of that part.</summary>
    private protected B32 FirstDepth { get; }

    /// <summary>Steps of that part that have not been asked for.</summary>
    private protected B32 DepthLeft { get; }

    /// <summary>Tiles of that part that have not been multiplied.</summary>
    private protected B32 TileCount { get; }

    /// <summary>Where the stages begin in shared memory: of each the left operand's tile, then the right one's.</summary>
    private protected B32 Stages { get; }

    /// <summary>Bytes from the beginning of a stage to the right operand's tile.</summary>
    private protected int RightOffset => Tile.Rows * ProductTile.DepthBytes;

    /// <summary>The text of a variant.</summary>
    internal static PtxText Write(ProductVariant variant)
    {
        ProductWriter writer = variant.Type is { } type ? new TensorProduct(variant, type) : new FloatProduct(variant);
        writer.WriteLoop();
        writer.WriteOutput();
        return writer.W.Finish();
    }

    /// <summary>The inner loop.</summary>
    private protected abstract void WriteLoop();

    /// <summary>Stores what the loop has summed.</summary>
    private protected abstract void WriteOutput();

    /// <summary>The tile of the left (0) or the right operand (1) in a stage.</summary>
    private protected B32 Side(B32 stage, int side) => side == 0 ? stage : stage + RightOffset;

    /// <summary>The copies of both base operands.</summary>
    private protected OperandCopy[] BeginCopies()
    {
        OperandCopy left = OperandCopy.Create(W, Variant.Left, LeftTile, _scales, Variant.Mask == ProductMask.Left ? Mask : null);
        OperandCopy right = OperandCopy.Create(W, Variant.Right, RightTile, _scales, Variant.Mask == ProductMask.Right ? Mask : null);
        left.Begin(Thread, Left, M, K, FirstRow, FirstDepth);
        right.Begin(Thread, Right, N, K, FirstColumn, FirstDepth);
        return [left, right];
    }

    /// <summary>
    /// The branch: a few tiles, one after the other, through a stage that nothing else is on its way to. Where the inner dimension is split, its
    /// first part has the branch.
    /// </summary>
    /// <param name="stageNumber">The stage.</param>
    /// <param name="multiply">Adds the products of the tiles in the stage at that address.</param>
    private protected void WriteBranch(int stageNumber, Action<B32> multiply)
    {
        if (Branch is not { } branch) return;
        using (W.If(Split.Is(0), "branch"))
        using (W.Scope("The low-rank branch"))
        {
            StagedCopy left = new(W, Variant.Branch!.Value.Left, LeftTile), right = new(W, Variant.Branch.Value.Right, RightTile);
            B32 zero = W.Constant(0);
            left.Begin(Thread, branch.Left, M, branch.Rank, FirstRow, zero);
            right.Begin(Thread, branch.Right, N, branch.Rank, FirstColumn, zero);
            B32 stage = (Stages + stageNumber * Tile.StageBytes).As("branch_stage"), rankLeft = (branch.Rank + 0).As("rank_left");
            W.For("branch_tile", ((branch.Rank + (LeftTile.Depth - 1)) / LeftTile.Depth).As("branch_tiles"), _ =>
            {
                left.Load(rankLeft);
                right.Load(rankLeft);
                left.Store(stage);
                right.Store(Side(stage, 1));
                W.Increase(rankLeft, -LeftTile.Depth);
                W.Barrier();
                multiply(stage);
                W.Barrier();
            });
        }
    }

    /// <summary>
    /// Adds the bias, applies the activation, adds what was before, where they are wanted, and stores: row by row what a thread has of it. A row's
    /// loads are on their way together; the next row's wait for this one's stores, or they would fill the registers.
    /// </summary>
    /// <param name="row">The thread's first row of c.</param>
    /// <param name="column">The thread's first column of c.</param>
    /// <param name="rows">Its rows, from the first one on.</param>
    /// <param name="columns">The columns where it has neighbors, from the first one on.</param>
    /// <param name="sums">The neighbors of a row and such a column, by their numbers.</param>
    private protected void Store(B32 row, B32 column, int[] rows, int[] columns, Func<int, int, F32[]> sums)
    {
        int width = sums(0, 0).Length;
        // All three matrices lie alike.
        B64 toBefore = W.Result<B64>("sub.s64", _before, _c).As("to_before"), toKept = W.Result<B64>("sub.s64", _kept, _c).As("to_kept");
        Pred hasBefore = W.Result<Pred>("setp.ne.s64", _before, 0L).As("has_before");
        MoveToBatch(_c, M, N, DType.Float32);
        B64 output = W.New<B64>("output");
        W.Emit("mad.lo.s64", output, _splitBytes, W.Long(Split), _c);
        AddBias(column, rows, columns, sums);
        Pred[][] inside = [.. columns.Select(first => Enumerable.Range(0, Variant.WideOutput ? 1 : width).Select(i => column + (first + i) < N).ToArray())];
        B64 start = output.Plus(column, sizeof(float));
        B32 pitch = N * sizeof(float);
        for (int r = 0; r < rows.Length; r++)
            using (W.Scope($"Row {rows[r]} of the thread"))
            {
                B32 at = row + rows[r];
                Pred isRow = at < M;
                B64 address = start.Plus(at, pitch);
                Pred[][] guards = [.. inside.Select(column => column.Select(one => one & isRow).ToArray())];
                F32[][] before = [.. columns.Select(_ => W.New<F32>("before", width))];
                foreach (F32 number in before.SelectMany(numbers => numbers)) W.Set(number, 0f);
                Access(address + toBefore, before, [.. guards.Select(guard => guard.Select(one => one & hasBefore).ToArray())], W.LoadGlobal);
                F32[][] rowSums = [.. columns.Select((_, c) => sums(r, c))];
                if (Variant.Activation != ActivationKind.None)
                {
                    using (W.If(!_kept.Is(0L), "keep")) Access(address + toKept, rowSums, guards, W.StoreGlobal);
                    foreach (F32 number in rowSums.SelectMany(numbers => numbers)) ActivationText.Apply(W, Variant.Activation, number);
                }
                for (int c = 0; c < columns.Length; c++)
                    for (int i = 0; i < width; i++) W.Emit("add.f32", rowSums[c][i], rowSums[c][i], before[c][i]);
                Access(address, rowSums, guards, W.StoreGlobal);

                void Access(B64 from, F32[][] numbers, Pred[][] where, Action<PtxAddress, PtxRegister[]> access)
                {
                    for (int c = 0; c < columns.Length; c++)
                        for (int i = 0; i < where[c].Length; i++)
                            using (W.When(where[c][i]))
                                access(from.At(sizeof(float) * (columns[c] + i)), Variant.WideOutput ? numbers[c] : [numbers[c][i]]);
                }
            }
    }

    private void AddBias(B32 column, int[] rows, int[] columns, Func<int, int, F32[]> sums)
    {
        using (W.If(!_bias.Is(0L), "bias"))
        using (W.Scope("The bias of the thread's columns"))
        {
            B64 address = _bias.Plus(column, sizeof(float));
            for (int c = 0; c < columns.Length; c++)
                for (int i = 0; i < sums(0, c).Length; i++)
                {
                    F32 bias = W.New<F32>("bias");
                    W.Set(bias, 0f);
                    using (W.When(column + (columns[c] + i) < N)) W.LoadConstant(address.At(sizeof(float) * (columns[c] + i)), bias);
                    for (int r = 0; r < rows.Length; r++) W.Emit("add.f32", sums(r, c)[i], sums(r, c)[i], bias);
                }
        }
    }

    /// <summary>The first row and column of the group's tile.</summary>
    private void FindTile()
    {
        using (W.Scope("Which tile of c"))
        {
            TileRaster.Find(W, W.Group('x'), TileRaster.Count(M, N, Tile.Rows, Tile.Columns), Tile.Rows, Tile.Columns, FirstRow, FirstColumn);
        }
    }

    private void MoveToBatch(B64 matrix, B32 rows, B32 columns, DType type)
    {
        B64 bytes = W.Result<B64>("mul.wide.s32", rows, columns) * W.Long(W.Group('z'));
        W.Emit("mad.lo.s64", matrix, bytes, type.Size, matrix);
    }
}
