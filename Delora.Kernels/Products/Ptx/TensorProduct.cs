using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Writes the matrix product on tensor cores, c = op(a)·op(b) + op(a₂)·op(b₂) + bias + c, accumulated and stored in float32. Tiles of the operands pass through
/// shared memory, <see cref="ProductTile.Stages"/> of them on their way at a time; a warp loads the fragments of the next step while it multiplies those of this one.
/// The order of every sum depends on the variant and the sizes alone.
/// </summary>
internal sealed partial class TensorProduct
{
    // Rows of tiles that neighboring groups share: what they read stays in the second-level cache.
    private const int RasterRows = 8;

    private readonly ProductVariant _variant;
    private readonly ProductTile _tile;
    private readonly PtxWriter _w;
    private readonly MmaTile _leftTile;
    private readonly MmaTile _rightTile;
    private readonly B64 _left, _right, _c, _bias;
    private readonly (B64 Left, B64 Right, B32 Rank)? _branch;
    private readonly B32 _m, _n, _k, _tilesOfSplit, _accumulate;
    private readonly B64 _splitBytes;
    private readonly B32 _thread, _lane, _warpRow, _warpColumn;
    private readonly F32[][] _sums;
    private OperandFragments _leftFragments = null!, _rightFragments = null!;
    private B32 _shared = null!, _firstRow = null!, _firstColumn = null!;

    private TensorProduct(ProductVariant variant)
    {
        _variant = variant;
        _tile = variant.Tile;
        _leftTile = new(variant.Type, _tile.Rows, variant.Left.ByDepth);
        _rightTile = new(variant.Type, _tile.Columns, variant.Right.ByDepth);
        _w = new PtxWriter(variant.Name, _tile.Threads, _tile.GroupsPerProcessor);
        _w.About($"c [batch, m, n] = op(a)·op(b) + bias + c in {ProductVariant.Word(variant.Type)} with float32 sums:");
        _w.About($"a group makes {_tile.Rows} × {_tile.Columns} of c, a warp {_tile.WarpRows} × {_tile.WarpColumns} of that, from {_tile.Stages} stages of");
        _w.About($"{_leftTile.Depth} inner steps. Grid: tiles of c, parts of the inner dimension, batch.");
        (_left, _right) = (_w.Pointer("left", variant.Left.Width), _w.Pointer("right", variant.Right.Width));
        (_c, _bias) = (_w.Pointer("c"), _w.Pointer("bias"));
        if (variant.Branch is { } pair) _branch = (_w.Pointer("branch_left", pair.Left.Width), _w.Pointer("branch_right", pair.Right.Width), _w.Parameter("rank"));
        (_m, _n, _k) = (_w.Parameter("m"), _w.Parameter("n"), _w.Parameter("k"));
        (_tilesOfSplit, _accumulate) = (_w.Parameter("tiles_of_split"), _w.Parameter("accumulate"));
        _splitBytes = _w.LongParameter("split_bytes");
        _thread = _w.ThreadX();
        _lane = (_thread & 31).As("lane");
        B32 warp = (_thread >> 5).As("warp");
        int across = _tile.Columns / _tile.WarpColumns;
        _warpRow = (warp / across * _tile.WarpRows).As("warp_row");
        _warpColumn = (warp % across * _tile.WarpColumns).As("warp_column");
        _sums = [.. Enumerable.Range(0, _tile.WarpRows / 16 * (_tile.WarpColumns / 8)).Select(i => _w.New<F32>($"sum{i}_", 4))];
    }

    private int RowBlocks => _tile.WarpRows / 16;

    private int ColumnBlocks => _tile.WarpColumns / 8;

    /// <summary>The text of a variant.</summary>
    internal static PtxText Write(ProductVariant variant) => new TensorProduct(variant).Write();

    private PtxText Write()
    {
        _shared = _w.AddressOf(_w.Shared("stages", _tile.SharedBytes));
        FindTile();
        MoveToBatch();
        _leftFragments = new(_w, _leftTile, true, _tile.WarpRows, _warpRow, _lane, 0);
        _rightFragments = new(_w, _rightTile, false, _tile.WarpColumns, _warpColumn, _lane, _tile.Rows * ProductTile.DepthBytes);
        foreach (F32 sum in _sums.SelectMany(block => block)) _w.Set(sum, 0f);
        B32 split = _w.Group('y');
        WriteLoop(split);
        WriteOutput(split);
        return _w.Finish();
    }

    /// <summary>The first row and column of the group's tile. Groups go down a few rows of tiles before they go on to the next column.</summary>
    private void FindTile()
    {
        (_firstRow, _firstColumn) = (_w.New<B32>("first_row"), _w.New<B32>("first_column"));
        using (_w.Scope("Which tile of c"))
        {
            B32 tileRows = ((_m + (_tile.Rows - 1)) / _tile.Rows).As("tile_rows"), tileColumns = ((_n + (_tile.Columns - 1)) / _tile.Columns).As("tile_columns");
            B32 group = _w.Group('x'), band = (tileColumns * RasterRows).As("band");
            B32 first = (group / band * RasterRows).As("first_of_band"), inBand = (group % band).As("in_band");
            B32 rows = _w.Min(tileRows - first, RasterRows).As("rows_of_band");
            _w.Emit("mul.lo.s32", _firstRow, first + inBand % rows, _tile.Rows);
            _w.Emit("mul.lo.s32", _firstColumn, inBand / rows, _tile.Columns);
        }
    }

    private void MoveToBatch()
    {
        using (_w.Scope("Which matrices of the batch"))
        {
            MoveToBatch(_left, _m, _k, _variant.Left.Type);
            MoveToBatch(_right, _k, _n, _variant.Right.Type);
        }
    }

    private void MoveToBatch(B64 matrix, B32 rows, B32 columns, DType type)
    {
        B64 bytes = _w.Result<B64>("mul.wide.s32", rows, columns) * _w.Long(_w.Group('z'));
        _w.Emit("mad.lo.s64", matrix, bytes, type.Size, matrix);
    }
}
