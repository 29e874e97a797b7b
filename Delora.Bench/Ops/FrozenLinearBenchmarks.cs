using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>
/// A linear layer over a frozen weight, prepared once: y = x Wᵀ + bias and dx = dy W; y = gelu(x Wᵀ + bias) with the sums kept, and
/// y = x Wᵀ + bias + residual, in the product and by kernels after it.
/// </summary>
public class FrozenLinearBenchmarks : OpBenchmarks
{
    private FrozenWeight _weight = null!;
    private Tensor _x = null!, _bias = null!, _dy = null!, _around = null!, _y = null!, _z = null!, _dx = null!;

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
        _around = Input([tokens, outputs]);
        _y = Output([tokens, outputs]);
        _z = Output([tokens, outputs]);
        _dx = Output([tokens, inputs]);
    }

    [Benchmark]
    public void Forward()
    {
        FrozenLinearKernel.Forward(_x, _weight, _bias, _y);
        Finish();
    }

    [Benchmark]
    public void WithGelu()
    {
        FrozenLinearKernel.Forward(_x, _weight, _bias, _y, new() { Activation = ActivationKind.Gelu, Preactivation = _z });
        Finish();
    }

    [Benchmark]
    public void ThenGelu()
    {
        FrozenLinearKernel.Forward(_x, _weight, _bias, _z);
        GeluKernel.Forward(_z, _y);
        Finish();
    }

    [Benchmark]
    public void WithResidual()
    {
        FrozenLinearKernel.Forward(_x, _weight, _bias, _y, new() { Residual = _around });
        Finish();
    }

    [Benchmark]
    public void ThenResidual()
    {
        FrozenLinearKernel.Forward(_x, _weight, _bias, _z);
        AddKernel.Forward(_z, _around, _y);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        FrozenLinearKernel.Backward(_dy, _weight, _dx);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape)
    {
        // Outputs, or operands of their shape, beside y: the least that is read or written.
        int beside = benchmark is nameof(WithGelu) or nameof(ThenGelu) or nameof(WithResidual) or nameof(ThenResidual) ? 1 : 0;
        return new(LinearShapes.Flops(shape), LinearShapes.Bytes(shape) + beside * (double)sizeof(float) * shape.Dims[0] * shape.Dims[2]);
    }
}
