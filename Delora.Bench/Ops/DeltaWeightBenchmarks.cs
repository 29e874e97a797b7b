using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>ΔW = B'A', and W += B'A': merging an adapter.</summary>
public class DeltaWeightBenchmarks : OpBenchmarks
{
    private Tensor _a = null!, _b = null!, _delta = null!, _weight = null!;

    public override IEnumerable<BenchShape> Shapes => DeloraShapes.All;

    protected override BenchShape ValidationShape => DeloraShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _a = Input([shape.Dims[0], shape.Dims[1]]);
        _b = Input([shape.Dims[2], shape.Dims[0]]);
        _delta = Output([shape.Dims[2], shape.Dims[1]]);
        // It is read as well as written: numbers, and no poison.
        _weight = Output([shape.Dims[2], shape.Dims[1]]);
        _weight.CopyFrom(Input(_weight.Shape));
    }

    [Benchmark]
    public void Forward()
    {
        DeltaWeightKernel.Forward(_a, _b, _delta);
        Finish();
    }

    [Benchmark]
    public void Add()
    {
        DeltaWeightKernel.Add(_a, _b, _weight);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape)
    {
        double elements = (double)shape.Dims[1] * shape.Dims[2];
        return new(2 * elements * shape.Dims[0], (benchmark == nameof(Forward) ? 4 : 8) * elements);
    }
}
