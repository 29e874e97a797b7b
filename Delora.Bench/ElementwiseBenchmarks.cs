using BenchmarkDotNet.Attributes;
using Delora.Core;

namespace Delora.Bench;

/// <summary>What the benchmarks of an op y = f(x) over elements share: its forward pass.</summary>
/// <param name="forward">The kernel (x, y).</param>
public abstract class UnaryBenchmarks(Action<Tensor, Tensor> forward) : OpBenchmarks
{
    public sealed override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected sealed override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected Tensor X { get; private set; } = null!;

    protected Tensor Y { get; private set; } = null!;

    protected override void Prepare(BenchShape shape)
    {
        X = Input([.. shape.Dims], -4, 4);
        Y = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        forward(X, Y);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats(2.0 * shape.Dims[0] * shape.Dims[1]);
}

/// <summary>What the benchmarks of an activation share: both passes.</summary>
/// <param name="forward">The kernel (x, y).</param>
/// <param name="backward">The kernel (x, dy, dx), or (y, dy, dx) with <paramref name="backwardReadsY"/>.</param>
/// <param name="backwardReadsY">The derivative is computed from the result of the forward pass.</param>
public abstract class ActivationBenchmarks(
    Action<Tensor, Tensor> forward, Action<Tensor, Tensor, Tensor> backward, bool backwardReadsY = false) : UnaryBenchmarks(forward)
{
    private Tensor _dy = null!, _dx = null!;

    protected sealed override void Prepare(BenchShape shape)
    {
        base.Prepare(shape);
        _dy = Input([.. shape.Dims]);
        _dx = Output([.. shape.Dims]);
        if (backwardReadsY) Forward();
    }

    [Benchmark]
    public void Backward()
    {
        backward(backwardReadsY ? Y : X, _dy, _dx);
        Finish();
    }

    public sealed override Work WorkOf(string benchmark, BenchShape shape) =>
        benchmark == nameof(Backward) ? Work.Floats(3.0 * shape.Dims[0] * shape.Dims[1]) : base.WorkOf(benchmark, shape);
}

/// <summary>What the benchmarks of an op y = f(a, b) over elements share: its forward pass.</summary>
/// <param name="forward">The kernel (a, b, y).</param>
public abstract class BinaryBenchmarks(Action<Tensor, Tensor, Tensor> forward) : OpBenchmarks
{
    private Tensor _a = null!, _b = null!, _y = null!;

    public sealed override IEnumerable<BenchShape> Shapes => ElementwiseShapes.All;

    protected sealed override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected sealed override void Prepare(BenchShape shape)
    {
        _a = Input([.. shape.Dims]);
        _b = Input([.. shape.Dims]);
        _y = Output([.. shape.Dims]);
    }

    [Benchmark]
    public void Forward()
    {
        forward(_a, _b, _y);
        Finish();
    }

    public sealed override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats(3.0 * shape.Dims[0] * shape.Dims[1]);
}
