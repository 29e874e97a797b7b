using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Counting what is not a finite number.</summary>
public class NonFiniteBenchmarks : OpBenchmarks
{
    private Tensor _g = null!, _count = null!, _result = null!;

    public override IEnumerable<BenchShape> Shapes => FlatShapes.All;

    protected override BenchShape ValidationShape => FlatShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _g = Input([.. shape.Dims]);
        float[] values = _g.ToArray<float>();
        for (int i = 0; i < values.Length; i += 97) values[i] = i % 2 == 0 ? float.NaN : float.NegativeInfinity;
        _g.CopyFrom<float>(values);
        _count = Track(Tensor.Empty([1], DType.Int32, Device, "count"));
        _result = Output([1]);
    }

    [Benchmark]
    public void Forward()
    {
        NonFiniteKernel.Forward(_count, _g);
        Finish();
        // Outputs that are compared hold floating-point numbers.
        _result.CopyFrom<double>([_count.ToArray<int>()[0]]);
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats(shape.Dims[0]);
}
