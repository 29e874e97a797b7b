using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Euclidean norms of the rows of a weight, and their derivative.</summary>
public class RowNormBenchmarks : OpBenchmarks
{
    private Tensor _w = null!, _norm = null!, _given = null!, _dNorm = null!, _dW = null!;

    public override IEnumerable<BenchShape> Shapes => WeightShapes.All;

    protected override BenchShape ValidationShape => WeightShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        int count = shape.Dims[0];
        _w = Input([.. shape.Dims]);
        _norm = Output([count]);
        _given = Input([count], 1, 2);
        _dNorm = Input([count]);
        _dW = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        RowNormKernel.Forward(_w, _norm);
        Device.Synchronize();
    }

    [Benchmark]
    public void Backward()
    {
        RowNormKernel.Backward(_w, _given, _dNorm, _dW);
        Device.Synchronize();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 1.0 : 2.0) * shape.Dims[0] * shape.Dims[1]);
}
