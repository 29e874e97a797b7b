using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>The predicted class of [tokens, classes].</summary>
public class ArgmaxBenchmarks : OpBenchmarks
{
    private Tensor _x = null!, _y = null!;
    private Tensor? _numbers, _asNumbers;

    public override IEnumerable<BenchShape> Shapes => [new("gpt2-vocabulary", 128, 50257), new("classifier", 4096, 32)];

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims]);
        _y = Track(Tensor.Zeros([shape.Dims[0]], DType.Int32, Device, "benchmark output"));
        _numbers = _asNumbers = null;
        if (shape != ValidationShape) return;
        (_numbers, _asNumbers) = (NumbersTo(shape.Dims[1]), Output([shape.Dims[0], 1]));
    }

    [Benchmark]
    public void Forward()
    {
        ArgmaxKernel.Forward(_x, _y);
        if (_numbers is not null) EmbeddingKernel.Forward(_y, _numbers, _asNumbers!);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats((double)shape.Dims[0] * shape.Dims[1]);
}
