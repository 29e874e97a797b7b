using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>
/// A linear layer with a branch of rank 8 over a frozen weight, all gradients, beside the frozen layer that it adapts: the quotient of the
/// two is what the adapter costs.
/// </summary>
public class LowRankLinearBenchmarks : OpBenchmarks
{
    private const int Rank = 8;
    private static readonly DropoutMask s_mask = new(0.1f, new RandomStream(1, 0));
    private FrozenWeight _weight = null!;
    private Tensor _x = null!, _bias = null!, _a = null!, _b = null!, _dy = null!;
    private Tensor _h = null!, _y = null!, _dx = null!, _da = null!, _db = null!;

    public override IEnumerable<BenchShape> Shapes => LinearShapes.All;

    protected override BenchShape ValidationShape => LinearShapes.Validation;

    protected override double Tolerance => 1e-4;

    protected override void Prepare(BenchShape shape)
    {
        (int tokens, int inputs, int outputs) = (shape.Dims[0], shape.Dims[1], shape.Dims[2]);
        _weight = Track(FrozenWeight.Create(Input([outputs, inputs])));
        _x = Input([tokens, inputs]);
        _bias = Input([outputs]);
        _a = Input([Rank, inputs]);
        _b = Input([outputs, Rank]);
        _dy = Input([tokens, outputs]);
        _h = Output([tokens, Rank]);
        _y = Output([tokens, outputs]);
        _dx = Output([tokens, inputs]);
        _da = Output([Rank, inputs]);
        _db = Output([outputs, Rank]);
    }

    [Benchmark(Baseline = true)]
    public void FrozenLayer()
    {
        FrozenLinearKernel.Forward(_x, _weight, _bias, _y);
        FrozenLinearKernel.Backward(_dy, _weight, _dx);
        Finish();
    }

    [Benchmark]
    public void AdaptedLayer() => Layer(null);

    [Benchmark]
    public void AdaptedLayerWithDropout() => Layer(s_mask);

    public override Work WorkOf(string benchmark, BenchShape shape)
    {
        double branch = benchmark == nameof(FrozenLayer) ? 0 : 6.0 * shape.Dims[0] * Rank * (shape.Dims[1] + shape.Dims[2]);
        return new(2 * LinearShapes.Flops(shape) + branch, 2 * LinearShapes.Bytes(shape));
    }

    private void Layer(DropoutMask? dropout)
    {
        LowRankLinearKernel.Forward(_x, _weight, _bias, _a, _b, _h, _y, dropout);
        LowRankLinearKernel.Backward(_x, _weight, _a, _b, _h, _dy, _dx, _da, _db, dropout);
        Finish();
    }
}
