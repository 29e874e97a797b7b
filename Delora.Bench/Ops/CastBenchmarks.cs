using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>float32 to the 16-bit types and back.</summary>
public class CastBenchmarks : OpBenchmarks
{
    private Tensor _x = null!, _brain = null!, _half = null!, _y = null!;

    public override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims]);
        _brain = Track(Tensor.Empty([.. shape.Dims], DType.BFloat16, Device));
        _half = Track(Tensor.Empty([.. shape.Dims], DType.Float16, Device));
        _y = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void ThroughBFloat16()
    {
        CastKernel.Forward(_x, _brain);
        CastKernel.Forward(_brain, _y);
        Finish();
    }

    [Benchmark]
    public void ThroughFloat16()
    {
        CastKernel.Forward(_x, _half);
        CastKernel.Forward(_half, _y);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        // Four bytes read and two written, then the other way.
        new(0, 12.0 * shape.Dims[0] * shape.Dims[1]);
}
