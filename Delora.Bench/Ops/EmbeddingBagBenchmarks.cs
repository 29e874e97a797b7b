using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Means of rows of a hashed table: the first layer of a text classifier.</summary>
public class EmbeddingBagBenchmarks : OpBenchmarks
{
    private Tensor _ids = null!, _offsets = null!, _weight = null!, _y = null!, _dy = null!, _dweight = null!;

    /// <summary>Bags, ids in each, vocab, dim.</summary>
    public override IEnumerable<BenchShape> Shapes => [new("hashed-text", 256, 200, 262144, 64), new("wide", 256, 200, 32768, 256)];

    protected override BenchShape ValidationShape => new("odd", 7, 13, 31, 33);

    protected override void Prepare(BenchShape shape)
    {
        int bags = shape.Dims[0], length = shape.Dims[1];
        _ids = Ids([bags * length], shape.Dims[2]);
        int[] offsets = [.. Enumerable.Range(0, bags + 1).Select(bag => bag * length)];
        _offsets = Track(Tensor.From(offsets, [bags + 1], Device, "benchmark offsets"));
        _weight = Input([shape.Dims[2], shape.Dims[3]]);
        _dy = Input([bags, shape.Dims[3]]);
        _y = Output([bags, shape.Dims[3]]);
        _dweight = Output([shape.Dims[2], shape.Dims[3]]);
        _dweight.FillZero();
    }

    [Benchmark]
    public void Forward()
    {
        EmbeddingBagKernel.Forward(_ids, _offsets, _weight, _y, EmbeddingBagMode.Mean);
        Finish();
    }

    [Benchmark]
    public void BackwardAccumulate()
    {
        EmbeddingBagKernel.Backward(_ids, _offsets, _dy, _dweight, EmbeddingBagMode.Mean, accumulate: true);
        Finish();
    }

    /// <summary>Each id reads a row, and backward reads and writes one.</summary>
    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 1.0 : 2.0) * shape.Dims[0] * shape.Dims[1] * shape.Dims[3]);
}
