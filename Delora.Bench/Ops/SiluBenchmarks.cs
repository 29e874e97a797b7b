using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = x·σ(x) and dx = dy·σ(x)·(1 + x·(1 − σ(x))).</summary>
public class SiluBenchmarks : OpBenchmarks
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
        SiluKernel.Forward(_x, _y);
        Device.Synchronize();
    }

    [Benchmark]
    public void Backward()
    {
        SiluKernel.Backward(_x, _dy, _dx);
        Device.Synchronize();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 2.0 : 3.0) * shape.Dims[0] * shape.Dims[1]);
}
