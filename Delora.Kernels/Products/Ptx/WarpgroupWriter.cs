using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Writes the matrix product for cards of compute capability 9.0, c = f(op(a)·op(b) + op(a₂)·op(b₂) + bias) + before, of 16-bit operands with
/// float32 sums. One thread of a group asks for tiles of the operands, which the card copies to shared memory; two warpgroups multiply them there,
/// each half of the group's rows. Two barrier objects of each stage say that its tile has come (full) and that both have multiplied it (empty). A
/// group makes one tile of c after the other, and copies for the next are under way while it stores the last. The order of every sum depends on the
/// sizes alone.
/// </summary>
internal sealed partial class WarpgroupWriter
{
    // 168 registers of each thread at first, of which the warps that copy give back most: 40 + 2 · 232 = 3 · 168.
    private const int CopyRegisters = 40, ProductRegisters = 232;

    private const int ProductWarps = 8, WarpThreads = 32, BarrierBytes = WarpgroupVariant.BarrierBytes;

    private readonly WarpgroupVariant _variant;
    private readonly PtxWriter _w;
    private readonly B64 _leftMap, _rightMap, _c, _bias, _before, _kept;
    private readonly (B64 Left, B64 Right)? _branchMaps;
    private readonly B32 _m, _n, _k, _tiles;
    private readonly B32 _stages, _barriers, _thread, _warpgroup;
    private readonly B32 _stage, _parity, _tile, _batch, _firstRow, _firstColumn;

    private WarpgroupWriter(WarpgroupVariant variant)
    {
        _variant = variant;
        _w = new PtxWriter(variant.Name, WarpgroupVariant.Threads, 1, "sm_90a", "8.0");
        _w.About($"c [batch, m, n] = f(op(a)·op(b) + bias) + before in {ProductVariant.Word(variant.Type)} with float32 sums: a group makes tiles of");
        _w.About($"{WarpgroupVariant.Rows} × {variant.Columns} of c, a warpgroup half of their rows, from {variant.Stages} stages of {WarpgroupVariant.Depth} inner steps.");
        (_leftMap, _rightMap) = (_w.MapParameter("left_map"), _w.MapParameter("right_map"));
        if (variant.BranchSteps > 0) _branchMaps = (_w.MapParameter("branch_left_map"), _w.MapParameter("branch_right_map"));
        (_c, _bias) = (_w.Pointer("c"), _w.Pointer("bias"));
        (_m, _n, _k) = (_w.Parameter("m"), _w.Parameter("n"), _w.Parameter("k"));
        // What is added, c itself or a residual, and where the sums go that f is of; 0 for neither.
        (_tiles, _before, _kept) = (_w.Parameter("tiles"), _w.Pointer("before"), _w.Pointer("kept"));
        _w.SharedBase();
        _stages = _w.AddressOf(_w.Shared("stages", variant.Stages * variant.StageBytes, 1024));
        _barriers = _w.AddressOf(_w.Shared("barriers", 2 * BarrierBytes * variant.Stages));
        _thread = _w.ThreadX();
        _warpgroup = _w.OfFirstLane(_thread / PtxWriter.WarpgroupThreads).As("warpgroup");
        (_stage, _parity) = (_w.Constant(0).As("stage"), _w.Constant(0).As("parity"));
        _tile = _w.Group('x').As("tile");
        (_batch, _firstRow, _firstColumn) = (_w.New<B32>("batch"), _w.New<B32>("first_row"), _w.New<B32>("first_column"));
    }

    /// <summary>The text of a variant.</summary>
    internal static PtxText Write(WarpgroupVariant variant) => new WarpgroupWriter(variant).Write();

    private PtxText Write()
    {
        using (_w.If(_thread.Is(0), "barriers"))
        {
            for (int stage = 0; stage < _variant.Stages; stage++)
            {
                _w.InitBarrier(_barriers.At(stage * BarrierBytes), 1);
                _w.InitBarrier(_barriers.At((_variant.Stages + stage) * BarrierBytes), ProductWarps);
            }
            _w.FenceBarriers();
        }
        _w.Barrier();
        PtxLabel end = _w.Label("end");
        using (_w.If(_warpgroup.Is(0), "copies"))
        using (_w.Scope("The first warpgroup: one thread of it asks for copies"))
        {
            _w.SetRegisters(false, CopyRegisters);
            _w.Branch(end, _w.OfFirstLane(_thread / WarpThreads) > 0);
            _w.Branch(end, !_w.Elect());
            WriteCopies();
            _w.Branch(end);
        }
        using (_w.Scope("The others: products"))
        {
            _w.SetRegisters(true, ProductRegisters);
            WriteProducts();
        }
        _w.Place(end);
        return _w.Finish();
    }

    /// <summary>One tile of c after the other, every so many as there are groups.</summary>
    private void ForEachTile(Action body) => _w.Loop("tiles", () =>
    {
        FindTile();
        body();
        _w.Increase(_tile, _w.Groups('x'));
        return _tile < _tiles;
    });

    /// <summary>Where a tile is.</summary>
    private void FindTile()
    {
        using (_w.Scope("Which tile of c"))
        {
            (B32 Rows, B32 Columns) tiles = TileRaster.Count(_m, _n, WarpgroupVariant.Rows, _variant.Columns);
            B32 ofMatrix = tiles.Rows * tiles.Columns, inMatrix = (_tile % ofMatrix).As("in_matrix");
            _w.Set(_batch, _tile / ofMatrix);
            TileRaster.Find(_w, inMatrix, tiles, WarpgroupVariant.Rows, _variant.Columns, _firstRow, _firstColumn);
        }
    }

    /// <summary>The barrier object that says that the stage's tile has come; the one that says that it was multiplied lies behind those of all stages.</summary>
    private B32 Full() => _w.MultiplyAdd(_stage, BarrierBytes, _barriers).As("full");

    private PtxAddress Empty(B32 full) => full.At(_variant.Stages * BarrierBytes);

    /// <summary>Where the stage begins in shared memory.</summary>
    private B32 StageAddress() => _w.MultiplyAdd(_stage, _variant.StageBytes, _stages).As("stage_address");

    /// <summary>The next stage; the parity changes where the ring begins again.</summary>
    private void NextStage()
    {
        _w.Increase(_stage, 1);
        Pred isEnd = _stage >= _variant.Stages;
        _w.Emit("selp.b32", _stage, 0, _stage, isEnd);
        _w.Emit("xor.b32", _parity, _parity, _w.Select(isEnd, 1, 0));
    }

    /// <summary>
    /// Copies: when the stage is empty, its tile's bytes are announced and asked for, first the operands' along the inner dimension, then the branch's.
    /// </summary>
    private void WriteCopies()
    {
        B32 depth = _w.New<B32>("depth");
        ForEachTile(() =>
        {
            _w.Set(depth, 0);
            _w.Loop("copies", () =>
            {
                WriteCopy(_leftMap, _rightMap, depth);
                _w.Increase(depth, WarpgroupVariant.Depth);
                return depth < _k;
            });
            if (_branchMaps is not { } maps) return;
            for (int step = 0; step < _variant.BranchSteps; step += WarpgroupVariant.Depth / WarpgroupVariant.StepDepth)
                WriteCopy(maps.Left, maps.Right, _w.Constant(step * WarpgroupVariant.StepDepth));
        });
    }

    private void WriteCopy(B64 leftMap, B64 rightMap, B32 depth)
    {
        using (_w.Scope("One stage"))
        {
            B32 full = Full();
            _w.WaitFor(Empty(full), _parity ^ 1);
            _w.ArriveExpecting(full.At(), _variant.StageBytes);
            PtxAddress stage = StageAddress().At();
            CopyOperand(leftMap, _variant.LeftByDepth, WarpgroupVariant.Rows, _firstRow, stage);
            CopyOperand(rightMap, _variant.RightByDepth, _variant.Columns, _firstColumn, stage + WarpgroupVariant.LineBytes * WarpgroupVariant.Rows);
            NextStage();

            void CopyOperand(B64 map, bool byDepth, int lines, B32 firstLine, PtxAddress to)
            {
                if (byDepth) _w.CopyTile(to, new(map, depth, firstLine, _batch), full.At());
                else
                    for (int line = 0; line < lines; line += TensorTiles.TileColumns)
                        _w.CopyTile(to + line * WarpgroupVariant.LineBytes, new(map, firstLine + line, depth, _batch), full.At());
            }
        }
    }
}
