using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>The factor that clips gradients: one number, so this times a launch.</summary>
public class ClipScaleBenchmarks : OpBenchmarks
{
    private Tensor _norm = null!, _scale = null!;

    public override IEnumerable<BenchShape> Shapes => [ValidationShape];

    protected override BenchShape ValidationShape => new("scalar", 1);

    protected override void Prepare(BenchShape shape)
    {
        _norm = Input([1], 3, 4);
        _scale = Output([1]);
    }

    [Benchmark]
    public void Forward()
    {
        ClipScaleKernel.Forward(_norm, 1, _scale);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats(2);
}
