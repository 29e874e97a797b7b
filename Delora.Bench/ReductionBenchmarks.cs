using BenchmarkDotNet.Attributes;
using Delora.Core;

namespace Delora.Bench;

/// <summary>What the benchmarks of a reduction share: over everything, over rows, and the gradient of the latter.</summary>
/// <param name="forward">The kernel (x, y) over everything.</param>
/// <param name="forwardRows">The kernel (x, y) over rows.</param>
/// <param name="backwardRows">The kernel (dy, dx) over rows.</param>
public abstract class ReductionBenchmarks(
    Action<Tensor, Tensor> forward, Action<Tensor, Tensor> forwardRows, Action<Tensor, Tensor> backwardRows) : OpBenchmarks
{
    private Tensor _x = null!, _all = null!, _rows = null!, _dx = null!, _dy = null!;

    public sealed override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected sealed override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected sealed override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims]);
        _dy = Input([shape.Dims[0]]);
        _all = Output([]);
        _rows = Output([shape.Dims[0]]);
        _dx = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        forward(_x, _all);
        Finish();
    }

    [Benchmark]
    public void ForwardRows()
    {
        forwardRows(_x, _rows);
        Finish();
    }

    [Benchmark]
    public void BackwardRows()
    {
        backwardRows(_dy, _dx);
        Finish();
    }

    public sealed override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats((double)shape.Dims[0] * shape.Dims[1]);
}
