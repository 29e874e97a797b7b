using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>A linear layer over a frozen weight, prepared once: y = x Wᵀ + bias and dx = dy W.</summary>
public class FrozenLinearBenchmarks : OpBenchmarks
{
    private FrozenWeight _weight = null!;
    private Tensor _x = null!, _bias = null!, _dy = null!, _y = null!, _dx = null!;

    public override IEnumerable<BenchShape> Shapes => LinearShapes.All;

    protected override BenchShape ValidationShape => LinearShapes.Validation;

    protected override double Tolerance => 1e-4;

    protected override void Prepare(BenchShape shape)
    {
        (int tokens, int inputs, int outputs) = (shape.Dims[0], shape.Dims[1], shape.Dims[2]);
        _weight = Track(FrozenWeight.Create(Input([outputs, inputs])));
        _x = Input([tokens, inputs]);
        _bias = Input([outputs]);
        _dy = Input([tokens, outputs]);
        _y = Output([tokens, outputs]);
        _dx = Output([tokens, inputs]);
    }

    [Benchmark]
    public void Forward()
    {
        FrozenLinearKernel.Forward(_x, _weight, _bias, _y);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        FrozenLinearKernel.Backward(_dy, _weight, _dx);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => new(LinearShapes.Flops(shape), LinearShapes.Bytes(shape));
}
