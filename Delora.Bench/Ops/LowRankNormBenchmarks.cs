using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>‖B'A'‖_F through Gram matrices: what watching the update of a layer costs at every step.</summary>
public class LowRankNormBenchmarks : OpBenchmarks
{
    private Tensor _a = null!, _b = null!, _norm = null!;

    public override IEnumerable<BenchShape> Shapes => DeloraShapes.All;

    protected override BenchShape ValidationShape => DeloraShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _a = Input([shape.Dims[0], shape.Dims[1]]);
        _b = Input([shape.Dims[2], shape.Dims[0]]);
        _norm = Output([1]);
    }

    [Benchmark]
    public void Forward()
    {
        LowRankNormKernel.Forward(_a, _b, _norm);
        Finish();
    }

    // Both Gram matrices are symmetric: r (r + 1) / 2 inner products of each.
    public override Work WorkOf(string benchmark, BenchShape shape) =>
        new(1.0 * shape.Dims[0] * (shape.Dims[0] + 1) * (shape.Dims[1] + shape.Dims[2]), 4.0 * shape.Dims[0] * (shape.Dims[1] + shape.Dims[2]));
}
