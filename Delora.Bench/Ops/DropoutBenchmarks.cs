using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = x∘mask, with the mask made from its random numbers on the way.</summary>
public class DropoutBenchmarks : OpBenchmarks
{
    private static readonly DropoutMask s_mask = new(0.1f, new RandomStream(42, 3));

    private Tensor _x = null!, _y = null!;

    public override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        _x = Input([.. shape.Dims]);
        _y = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        DropoutKernel.Forward(_x, s_mask, _y);
        Device.Synchronize();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats(2.0 * shape.Dims[0] * shape.Dims[1]);
}
