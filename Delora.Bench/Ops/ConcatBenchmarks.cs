using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>[out, r] beside [out, r], as the factors of two adapters are joined, and the slice back.</summary>
public class ConcatBenchmarks : OpBenchmarks
{
    private Tensor _a = null!, _b = null!, _y = null!, _da = null!;

    public override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _a = Input([.. shape.Dims]);
        _b = Input([.. shape.Dims]);
        _y = Output([shape.Dims[0], 2 * shape.Dims[1]]);
        _da = Output([.. shape.Dims]);
        // The backward pass reads the whole.
        ConcatKernel.Forward([_a, _b], 1, _y);
    }

    [Benchmark]
    public void Forward()
    {
        ConcatKernel.Forward([_a, _b], 1, _y);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        ConcatKernel.Backward(_y, 1, _a.Shape[1], _da);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 4.0 : 2.0) * shape.Dims[0] * shape.Dims[1]);
}
