using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Means over everything and over rows.</summary>
public class MeanBenchmarks : OpBenchmarks
{
    private Tensor _x = null!, _all = null!, _rows = null!, _dx = null!, _dy = null!;

    public override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims]);
        _dy = Input([shape.Dims[0]]);
        _all = Output([]);
        _rows = Output([shape.Dims[0]]);
        _dx = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        MeanKernel.Forward(_x, _all);
        Device.Synchronize();
    }

    [Benchmark]
    public void ForwardRows()
    {
        MeanKernel.ForwardRows(_x, _rows);
        Device.Synchronize();
    }

    [Benchmark]
    public void BackwardRows()
    {
        MeanKernel.BackwardRows(_dy, _dx);
        Device.Synchronize();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats((double)shape.Dims[0] * shape.Dims[1]);
}
