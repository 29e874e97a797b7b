using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>One step of AdamW over a flat buffer.</summary>
public class AdamWBenchmarks : OpBenchmarks
{
    private static readonly AdamWSettings s_settings = new(1e-3);
    private Tensor _p = null!, _g = null!, _m = null!, _v = null!, _scale = null!;

    public override IEnumerable<BenchShape> Shapes => FlatShapes.All;

    protected override BenchShape ValidationShape => FlatShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        (_p, _m, _v) = (Output([.. shape.Dims]), Output([.. shape.Dims]), Output([.. shape.Dims]));
        _p.CopyFrom(Input(_p.Shape));
        _m.CopyFrom(Input(_m.Shape));
        _v.CopyFrom(Input(_v.Shape, 0, 1));
        _g = Input([.. shape.Dims]);
        _scale = Input([1], 0, 1);
    }

    [Benchmark]
    public void Step()
    {
        AdamWKernel.Step(_p, _g, _m, _v, _scale, s_settings, 100);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats(7.0 * shape.Dims[0]);
}
