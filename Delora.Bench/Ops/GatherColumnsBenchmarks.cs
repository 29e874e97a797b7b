using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Columns of an embedding's A [r, vocab], [tokens] ids.</summary>
public class GatherColumnsBenchmarks : OpBenchmarks
{
    private Tensor _ids = null!, _a = null!, _y = null!, _dy = null!, _da = null!;

    /// <summary>Tokens, vocab, rank.</summary>
    public override IEnumerable<BenchShape> Shapes => [new("gpt2", 512, 50257, 8), new("small", 2048, 4096, 16)];

    protected override BenchShape ValidationShape => new("odd", 65, 31, 3);

    protected override void Prepare(BenchShape shape)
    {
        _ids = Ids([shape.Dims[0]], shape.Dims[1]);
        _a = Input([shape.Dims[2], shape.Dims[1]]);
        _dy = Input([shape.Dims[0], shape.Dims[2]]);
        _y = Output([shape.Dims[0], shape.Dims[2]]);
        _da = Output([shape.Dims[2], shape.Dims[1]]);
        _da.FillZero();
    }

    [Benchmark]
    public void Forward()
    {
        GatherColumnsKernel.Forward(_a, _ids, _y);
        Finish();
    }

    [Benchmark]
    public void BackwardAccumulate()
    {
        GatherColumnsKernel.Backward(_ids, _dy, _da, accumulate: true);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 2.0 : 3.0) * shape.Dims[0] * shape.Dims[2]);
}
