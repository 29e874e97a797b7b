using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Rotary position embedding of queries, [batch, seq, heads, dim].</summary>
public class RotaryEmbeddingBenchmarks : OpBenchmarks
{
    private Tensor _x = null!, _cos = null!, _sin = null!, _positions = null!, _y = null!, _dx = null!;

    public override IEnumerable<BenchShape> Shapes =>
        [new("llama-1b", 1, 512, 32, 64), new("llama-8b", 1, 512, 32, 128), new("small", 16, 128, 32, 8)];

    protected override BenchShape ValidationShape => new("odd", 2, 7, 3, 22);

    protected override void Prepare(BenchShape shape)
    {
        (int batch, int length, int half) = (shape.Dims[0], shape.Dims[1], shape.Dims[3] / 2);
        _x = Input([.. shape.Dims]);
        _cos = Input([length, half]);
        _sin = Input([length, half]);
        _positions = Ids([batch, length], length);
        _y = Output([.. shape.Dims]);
        _dx = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        RotaryEmbeddingKernel.Forward(_x, _cos, _sin, null, 0, _y);
        Finish();
    }

    [Benchmark]
    public void BackwardOfGivenPositions()
    {
        RotaryEmbeddingKernel.Backward(_x, _cos, _sin, _positions, 0, _dx);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats(shape.Dims.Aggregate(2.0, (product, dim) => product * dim));
}
