using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = tanh x and dx = dy·(1 − y²).</summary>
public class TanhBenchmarks : OpBenchmarks
{
    private Tensor _y = null!, _dy = null!, _x = null!, _dx = null!;

    public override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims], -4, 4);
        _dy = Input([.. shape.Dims]);
        _y = Output([.. shape.Dims]);
        _dx = Output([.. shape.Dims]);
        // The backward pass reads the result of the forward pass.
        TanhKernel.Forward(_x, _y);
    }

    [Benchmark]
    public void Forward()
    {
        TanhKernel.Forward(_x, _y);
        Device.Synchronize();
    }

    [Benchmark]
    public void Backward()
    {
        TanhKernel.Backward(_y, _dy, _dx);
        Device.Synchronize();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 2.0 : 3.0) * shape.Dims[0] * shape.Dims[1]);
}
