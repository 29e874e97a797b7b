using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>The norm of all gradients.</summary>
public class GlobalNormBenchmarks : OpBenchmarks
{
    private Tensor _g = null!, _norm = null!;

    public override IEnumerable<BenchShape> Shapes => FlatShapes.All;

    protected override BenchShape ValidationShape => FlatShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _g = Input([.. shape.Dims]);
        _norm = Output([1]);
    }

    [Benchmark]
    public void Forward()
    {
        GlobalNormKernel.Forward(_norm, _g);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats(shape.Dims[0]);
}
