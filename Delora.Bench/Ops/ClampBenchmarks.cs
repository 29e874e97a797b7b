using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>DeLoRA's λ of all layers put into a range: single numbers, so this times launches.</summary>
public class ClampBenchmarks : OpBenchmarks
{
    private Tensor[] _tensors = null!;
    private ClampRange[] _ranges = null!;

    public override IEnumerable<BenchShape> Shapes => [new("7 modules of 30 layers", 210)];

    protected override BenchShape ValidationShape => new("odd", 19);

    protected override void Prepare(BenchShape shape)
    {
        Tensor all = Output([shape.Dims[0]]);
        all.CopyFrom(Input(all.Shape, -4, 4));
        _tensors = [.. Enumerable.Range(0, shape.Dims[0]).Select(i => Track(all.View([1], i)))];
        _ranges = [.. _tensors.Select((_, i) => new ClampRange(-1 - i % 3, 0.5 * (i % 5)))];
    }

    [Benchmark]
    public void Forward()
    {
        ClampKernel.Forward(_tensors, _ranges);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats(2.0 * shape.Dims[0]);
}
