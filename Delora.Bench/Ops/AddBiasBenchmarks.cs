using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = x + b over the last dimension, and db, the column sums of dy.</summary>
public class AddBiasBenchmarks : OpBenchmarks
{
    private Tensor _x = null!, _bias = null!, _y = null!, _dBias = null!;

    public override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims]);
        _bias = Input([shape.Dims[1]]);
        _y = Output([.. shape.Dims]);
        _dBias = Output([shape.Dims[1]]);
    }

    [Benchmark]
    public void Forward()
    {
        AddBiasKernel.Forward(_x, _bias, _y);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        AddBiasKernel.Backward(_x, _dBias);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 2.0 : 1.0) * shape.Dims[0] * shape.Dims[1] + shape.Dims[1]);
}
