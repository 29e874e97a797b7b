using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = factor·x.</summary>
public class ScaleBenchmarks : OpBenchmarks
{
    private Tensor _x = null!, _y = null!;

    public override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims]);
        _y = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        ScaleKernel.Forward(_x, 0.125, _y);
        Device.Synchronize();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats(2.0 * shape.Dims[0] * shape.Dims[1]);
}
