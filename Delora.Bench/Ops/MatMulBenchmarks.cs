using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>The three products of a trained linear layer: y = x Wᵀ, dx = dy W, dW = dyᵀ x, each operand packed on the way.</summary>
public class MatMulBenchmarks : OpBenchmarks
{
    private Tensor _x = null!, _w = null!, _dy = null!, _y = null!, _dx = null!, _dw = null!;

    public override IEnumerable<BenchShape> Shapes => LinearShapes.All;

    protected override BenchShape ValidationShape => LinearShapes.Validation;

    protected override double Tolerance => 1e-4;

    // Products of two numbers of bfloat16 are float32 numbers: nothing is rounded but sums.
    protected override (BenchShape Shape, double Tolerance)? Rounded => (LinearShapes.Validation, Tolerance);

    protected override void Prepare(BenchShape shape)
    {
        (int tokens, int inputs, int outputs) = (shape.Dims[0], shape.Dims[1], shape.Dims[2]);
        _x = Input([tokens, inputs]);
        _w = Input([outputs, inputs]);
        _dy = Input([tokens, outputs]);
        _y = Output([tokens, outputs]);
        _dx = Output([tokens, inputs]);
        _dw = Output([outputs, inputs]);
    }

    [Benchmark]
    public void NT()
    {
        MatMulKernel.Forward(_x, _w, _y, MatMulLayout.NT);
        Finish();
    }

    [Benchmark]
    public void NN()
    {
        MatMulKernel.Forward(_dy, _w, _dx, MatMulLayout.NN);
        Finish();
    }

    [Benchmark]
    public void TN()
    {
        MatMulKernel.Forward(_dy, _x, _dw, MatMulLayout.TN);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => new(LinearShapes.Flops(shape), LinearShapes.Bytes(shape));
}
