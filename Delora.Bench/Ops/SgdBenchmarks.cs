using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>One step of stochastic gradient descent over a flat buffer, with momentum and without.</summary>
public class SgdBenchmarks : OpBenchmarks
{
    private static readonly SgdSettings s_plain = new(1e-3), s_momentum = new(1e-3, 0.9, 1e-4, Nesterov: true);
    private Tensor _p = null!, _g = null!, _buffer = null!, _scale = null!;

    public override IEnumerable<BenchShape> Shapes => FlatShapes.All;

    protected override BenchShape ValidationShape => FlatShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        (_p, _buffer) = (Output([.. shape.Dims]), Output([.. shape.Dims]));
        _p.CopyFrom(Input(_p.Shape));
        _buffer.CopyFrom(Input(_buffer.Shape));
        _g = Input([.. shape.Dims]);
        _scale = Input([1], 0, 1);
    }

    [Benchmark]
    public void Plain()
    {
        SgdKernel.Step(_p, _g, null, _scale, s_plain, 100);
        Finish();
    }

    [Benchmark]
    public void Momentum()
    {
        SgdKernel.Step(_p, _g, _buffer, _scale, s_momentum, 100);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats((benchmark == nameof(Plain) ? 3.0 : 5.0) * shape.Dims[0]);
}
