using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Cross-entropy of [tokens, classes]: a language model's vocabulary, and a classifier.</summary>
public class CrossEntropyBenchmarks : OpBenchmarks
{
    private Tensor _logits = null!, _labels = null!, _loss = null!, _z = null!, _backwardZ = null!, _dloss = null!, _dlogits = null!;

    public override IEnumerable<BenchShape> Shapes =>
        [new("gpt2-vocabulary", 128, 50257), new("small-vocabulary", 2048, 4096), new("classifier", 4096, 32)];

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _logits = Input([.. shape.Dims], -4, 4);
        _labels = Ids([shape.Dims[0]], shape.Dims[1]);
        _backwardZ = Input([shape.Dims[0]], 4, 8);
        _dloss = Input([]);
        _loss = Output([]);
        _z = Output([shape.Dims[0]]);
        _dlogits = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        CrossEntropyKernel.Forward(_logits, _labels, _loss, _z);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        CrossEntropyKernel.Backward(_logits, _labels, _backwardZ, _dloss, _dlogits, _labels.Shape[0]);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 1.0 : 2.0) * shape.Dims[0] * shape.Dims[1]);
}
