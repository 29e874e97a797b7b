using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = max(x, 0) and its gradient.</summary>
public class ReluBenchmarks : OpBenchmarks
{
    private Tensor _x = null!, _dy = null!, _y = null!, _dx = null!;

    public override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims]);
        _dy = Input([.. shape.Dims]);
        _y = Output([.. shape.Dims]);
        _dx = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        ReluKernel.Forward(_x, _y);
        Device.Synchronize();
    }

    [Benchmark]
    public void Backward()
    {
        ReluKernel.Backward(_x, _dy, _dx);
        Device.Synchronize();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 2.0 : 3.0) * shape.Dims[0] * shape.Dims[1]);
}
