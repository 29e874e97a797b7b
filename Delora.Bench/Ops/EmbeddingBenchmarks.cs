using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Rows of a table, [tokens] ids into [vocab, dim].</summary>
public class EmbeddingBenchmarks : OpBenchmarks
{
    private Tensor _ids = null!, _weight = null!, _y = null!, _dy = null!, _dweight = null!;

    /// <summary>Tokens, vocab, dim.</summary>
    public override IEnumerable<BenchShape> Shapes => [new("gpt2", 512, 50257, 768), new("small", 2048, 4096, 256)];

    protected override BenchShape ValidationShape => new("odd", 65, 31, 33);

    protected override void Prepare(BenchShape shape)
    {
        _ids = Ids([shape.Dims[0]], shape.Dims[1]);
        _weight = Input([shape.Dims[1], shape.Dims[2]]);
        _dy = Input([shape.Dims[0], shape.Dims[2]]);
        _y = Output([shape.Dims[0], shape.Dims[2]]);
        _dweight = Output([shape.Dims[1], shape.Dims[2]]);
        _dweight.FillZero();
    }

    [Benchmark]
    public void Forward()
    {
        EmbeddingKernel.Forward(_ids, _weight, _y);
        Finish();
    }

    [Benchmark]
    public void BackwardAccumulate()
    {
        EmbeddingKernel.Backward(_ids, _dy, _dweight, accumulate: true);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 2.0 : 3.0) * shape.Dims[0] * shape.Dims[2]);
}
