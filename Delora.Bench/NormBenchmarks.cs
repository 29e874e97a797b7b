using BenchmarkDotNet.Attributes;
using Delora.Core;

namespace Delora.Bench;

/// <summary>What the benchmarks of a weight's norms along one axis share: both passes.</summary>
/// <param name="axis">The axis that remains: 0 for a norm for each row, 1 for each column.</param>
/// <param name="forward">The kernel (w, norm).</param>
/// <param name="backward">The kernel (w, norm, dNorm, dW).</param>
public abstract class NormBenchmarks(int axis, Action<Tensor, Tensor> forward, Action<Tensor, Tensor, Tensor, Tensor> backward) : OpBenchmarks
{
    private Tensor _w = null!, _norm = null!, _given = null!, _dNorm = null!, _dW = null!;

    public sealed override IEnumerable<BenchShape> Shapes => WeightShapes.All;

    protected sealed override BenchShape ValidationShape => WeightShapes.Validation;

    protected sealed override void Prepare(BenchShape shape)
    {
        int count = shape.Dims[axis];
        _w = Input([.. shape.Dims]);
        _norm = Output([count]);
        _given = Input([count], 1, 2);
        _dNorm = Input([count]);
        _dW = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        forward(_w, _norm);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        backward(_w, _given, _dNorm, _dW);
        Finish();
    }

    public sealed override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 1.0 : 2.0) * shape.Dims[0] * shape.Dims[1]);
}
