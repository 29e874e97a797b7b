using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = ½x(1 + tanh u) and dx = dy·(½(1 + tanh u) + ½x(1 − tanh² u)·u').</summary>
public class GeluTanhBenchmarks : OpBenchmarks
{
    private Tensor _x = null!, _dy = null!, _y = null!, _dx = null!;

    public override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims], -4, 4);
        _dy = Input([.. shape.Dims]);
        _y = Output([.. shape.Dims]);
        _dx = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        GeluTanhKernel.Forward(_x, _y);
        Device.Synchronize();
    }

    [Benchmark]
    public void Backward()
    {
        GeluTanhKernel.Backward(_x, _dy, _dx);
        Device.Synchronize();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 2.0 : 3.0) * shape.Dims[0] * shape.Dims[1]);
}
