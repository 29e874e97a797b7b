using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>The scores of a vocabulary and their cross-entropy: [tokens, dim, vocabulary], with and without the gradient.</summary>
public class LinearCrossEntropyBenchmarks : OpBenchmarks
{
    private FrozenWeight _frozen = null!;
    private Tensor _x = null!, _weight = null!, _labels = null!, _loss = null!, _dx = null!, _dweight = null!, _trainedDx = null!, _evaluated = null!;

    public override IEnumerable<BenchShape> Shapes => [new("stories260k", 1024, 64, 512), new("small", 2048, 128, 1024), new("135m", 256, 576, 49152)];

    protected override BenchShape ValidationShape => new("validation", 19, 33, 65);

    protected override double Tolerance => 1e-4;

    protected override void Prepare(BenchShape shape)
    {
        (int tokens, int dim, int vocabulary) = (shape.Dims[0], shape.Dims[1], shape.Dims[2]);
        _weight = Input([vocabulary, dim]);
        _frozen = Track(FrozenWeight.Create(_weight));
        _x = Input([tokens, dim]);
        _labels = Ids([tokens], vocabulary);
        _loss = Output([]);
        _evaluated = Output([]);
        _dx = Output([tokens, dim]);
        _trainedDx = Output([tokens, dim]);
        _dweight = Output([vocabulary, dim]);
    }

    [Benchmark]
    public void Evaluate()
    {
        LinearCrossEntropyKernel.Forward(_x, _frozen, _labels, _evaluated, null);
        Finish();
    }

    [Benchmark]
    public void Frozen()
    {
        LinearCrossEntropyKernel.Forward(_x, _frozen, _labels, _loss, _dx);
        Finish();
    }

    [Benchmark]
    public void Trained()
    {
        LinearCrossEntropyKernel.Forward(_x, _weight, _labels, _loss, _trainedDx, _dweight);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape)
    {
        double products = benchmark switch { nameof(Evaluate) => 1, nameof(Frozen) => 2, _ => 3 };
        return new(products * LinearShapes.Flops(shape), LinearShapes.Bytes(shape));
    }
}
