using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>The next token from [batch, vocabulary].</summary>
public class SamplingBenchmarks : OpBenchmarks
{
    private Tensor _logits = null!, _ids = null!;
    private Tensor? _numbers, _asNumbers;

    public override IEnumerable<BenchShape> Shapes => [new("gpt2-vocabulary", 1, 50257), new("llama3-vocabulary", 32, 128256)];

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _logits = Input([.. shape.Dims], -10, 10);
        _ids = Track(Tensor.Zeros([shape.Dims[0]], DType.Int32, Device, "benchmark output"));
        _numbers = _asNumbers = null;
        if (shape != ValidationShape) return;
        (_numbers, _asNumbers) = (NumbersTo(shape.Dims[1]), Output([shape.Dims[0], 1]));
    }

    [Benchmark]
    public void Greedy() => Sample(SamplingOptions.Greedy);

    [Benchmark]
    public void Temperature() => Sample(new() { Temperature = 0.8 });

    [Benchmark]
    public void TopK() => Sample(new() { Temperature = 0.8, TopK = 50 });

    [Benchmark]
    public void TopP() => Sample(new() { Temperature = 0.8, TopP = 0.95 });

    public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats((double)shape.Dims[0] * shape.Dims[1]);

    private void Sample(SamplingOptions options)
    {
        SamplingKernel.Forward(_logits, _ids, options, new RandomStream(42, 0));
        if (_numbers is not null) EmbeddingKernel.Forward(_ids, _numbers, _asNumbers!);
        Finish();
    }
}
