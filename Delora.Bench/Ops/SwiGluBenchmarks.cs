using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = silu(gate)∘up and both gradients at once: the middle of a gated MLP, [tokens, dim].</summary>
public class SwiGluBenchmarks : OpBenchmarks
{
    private Tensor _gate = null!, _up = null!, _y = null!, _dy = null!, _dgate = null!, _dup = null!;

    public override IEnumerable<BenchShape> Shapes =>
        [new("small-ffn", 2048, 704), new("llama-1b-ffn", 512, 8192), .. ElementwiseShapes.All];

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _gate = Input([.. shape.Dims], -4, 4);
        _up = Input([.. shape.Dims]);
        _dy = Input([.. shape.Dims]);
        _y = Output([.. shape.Dims]);
        _dgate = Output([.. shape.Dims]);
        _dup = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        SwiGluKernel.Forward(_gate, _up, _y);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        SwiGluKernel.Backward(_gate, _up, _dy, _dgate, _dup);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 3.0 : 5.0) * shape.Dims[0] * shape.Dims[1]);
}
