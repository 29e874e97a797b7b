using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = a∘b: a gate.</summary>
public class MultiplyBenchmarks : OpBenchmarks
{
    private Tensor _a = null!, _b = null!, _y = null!;

    public override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _a = Input([.. shape.Dims]);
        _b = Input([.. shape.Dims]);
        _y = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        MultiplyKernel.Forward(_a, _b, _y);
        Device.Synchronize();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats(3.0 * shape.Dims[0] * shape.Dims[1]);
}
