using Delora.Kernels.Ptx;

namespace Delora.Kernels;

// The warpgroups that multiply.
internal sealed partial class WarpgroupWriter
{
    // Eight lines of 128 bytes: the pattern in which copies permute chunks.
    private const int PatternBytes = 1024;

    private F32[] _sums = [];
    private B32 _lane = null!, _half = null!, _previous = null!;
    private Pred _isFirstLane = null!, _always = null!;

    private void WriteProducts()
    {
        _lane = (_thread % WarpThreads).As("lane");
        _half = (_warpgroup - 1).As("half");
        _sums = _w.New<F32>("sum", _variant.Columns / 2);
        _previous = _w.Constant(0).As("previous");
        _isFirstLane = _lane.Is(0).As("is_first_lane");
        _always = _half.Is(_half).As("always");
        B32 depth = _w.New<B32>("depth");
        const int StageSteps = WarpgroupVariant.Depth / WarpgroupVariant.StepDepth;
        ForEachTile(() =>
        {
            _w.Set(depth, 0);
            // Not by products that do not add: the assembler would then wait for each product before the next (C7515).
            foreach (F32 sum in _sums) _w.Set(sum, 0f);
            _w.Loop("products", () =>
            {
                WriteStage(StageSteps, (depth > 0).As("has_previous"));
                _w.Increase(depth, WarpgroupVariant.Depth);
                return depth < _k;
            });
            for (int step = 0; step < _variant.BranchSteps; step += StageSteps) WriteStage(Math.Min(StageSteps, _variant.BranchSteps - step), _always);
            _w.WaitForProducts(0);
            using (_w.When(_isFirstLane)) _w.Arrive(Empty(_previous));
            WriteOutput();
        });
    }

    /// <summary>The products of a stage. While they are under way, those of the stage before end, and it is given back.</summary>
    private void WriteStage(int steps, Pred hasPrevious)
    {
        using (_w.Scope("One stage"))
        {
            B32 full = Full(), at = StageAddress();
            B64 left = Descriptor(_w.MultiplyAdd(_half, WarpgroupVariant.LineBytes * WarpgroupVariant.Rows / 2, at), _variant.LeftByDepth).As("left");
            B64 right = Descriptor(at + WarpgroupVariant.LineBytes * WarpgroupVariant.Rows, _variant.RightByDepth).As("right");
            _w.WaitFor(full.At(), _parity);
            _w.FenceProducts();
            for (int step = 0; step < steps; step++)
                _w.WarpgroupMma(
                    _variant.Type, _sums, left + step * StepOf(_variant.LeftByDepth), right + step * StepOf(_variant.RightByDepth), _always,
                    _variant.LeftByDepth, _variant.RightByDepth);
            _w.CommitProducts();
            _w.WaitForProducts(1);
            using (_w.When(_isFirstLane & hasPrevious)) _w.Arrive(Empty(_previous));
            _w.Set(_previous, full);
            NextStage();
        }
    }

    /// <summary>
    /// The descriptor of a matrix: its address, the distance from 64 lines to the next where lines are neighbors, the distance from eight lines (steps, where lines are
    /// neighbors) to the next, each in 16 bytes, and that chunks are permuted in rows of 128 bytes.
    /// </summary>
    /// <remarks>PTX ISA, "Matrix Descriptor Format" and "Strides".</remarks>
    private B64 Descriptor(B32 address, bool byDepth)
    {
        const long Permuted = 1L << 62, Pattern = (long)(PatternBytes / 16) << 32;
        long leading = byDepth ? 1 : WarpgroupVariant.LineBytes * TensorTiles.TileColumns / 16;
        return _w.Result<B64>("add.s64", _w.Long(address >> 4), Permuted | Pattern | leading << 16);
    }

    /// <summary>From one step of the inner dimension to the next, in a descriptor: along a line, or two patterns.</summary>
    private static int StepOf(bool byDepth) => (byDepth ? 2 * WarpgroupVariant.StepDepth : PatternBytes * WarpgroupVariant.StepDepth / 8) / 16;
}
