using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Softmax of attention scores, [batch · heads · seq, seq], and of a vocabulary.</summary>
public class SoftmaxBenchmarks : OpBenchmarks
{
    private Tensor _x = null!, _y = null!, _p = null!, _dy = null!, _dx = null!;

    public override IEnumerable<BenchShape> Shapes =>
        [new("gpt2-attention", 4 * 12 * 128, 128), new("long-attention", 12 * 1024, 1024), new("vocabulary", 128, 50257)];

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims], -4, 4);
        _p = Input([.. shape.Dims], 0, 2f / shape.Dims[1]);
        _dy = Input([.. shape.Dims]);
        _y = Output([.. shape.Dims]);
        _dx = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        SoftmaxKernel.Forward(_x, _y);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        SoftmaxKernel.Backward(_p, _dy, _dx);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 2.0 : 3.0) * shape.Dims[0] * shape.Dims[1]);
}
