using BenchmarkDotNet.Attributes;
using Delora.Core;

namespace Delora.Bench;

/// <summary>What the benchmarks of a norm over the last dimension with a weight share: both passes, with and without the weight.</summary>
/// <param name="statisticsShape">Shape of what the forward pass keeps of so many rows.</param>
/// <param name="forward">The kernel (x, weight, y, statistics, epsilon).</param>
/// <param name="backward">The kernel (x, weight, statistics, dy, dx, dweight, accumulate, accumulateWeight).</param>
public abstract class NormalizationBenchmarks(
    Func<int, Shape> statisticsShape, Action<Tensor, Tensor, Tensor, Tensor, double> forward,
    Action<Tensor, Tensor, Tensor, Tensor, Tensor?, Tensor?, bool, bool> backward) : OpBenchmarks
{
    private Tensor _x = null!, _weight = null!, _y = null!, _statistics = null!, _given = null!, _dy = null!, _dx = null!, _dweight = null!;

    public sealed override IEnumerable<BenchShape> Shapes =>
        [new("gpt2", 512, 768), new("llama-1b", 512, 2048), new("head", 512 * 32, 64), new("batch", 4096, 3072)];

    protected sealed override BenchShape ValidationShape => ElementwiseShapes.Validation;

    protected sealed override void Prepare(BenchShape shape)
    {
        (int rows, int columns) = (shape.Dims[0], shape.Dims[1]);
        _x = Input([rows, columns]);
        _weight = Input([columns]);
        _dy = Input([rows, columns]);
        _given = Input(statisticsShape(rows), 0, 1);
        _y = Output([rows, columns]);
        // Compared through y: where a mean is kept in two parts, devices may part it differently.
        _statistics = Track(Tensor.Empty(statisticsShape(rows), Device.FloatType, Device, "benchmark statistics"));
        _dx = Output([rows, columns]);
        _dweight = Output([columns]);
    }

    [Benchmark]
    public void Forward()
    {
        forward(_x, _weight, _y, _statistics, 1e-5);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        backward(_x, _weight, _given, _dy, _dx, null, false, false);
        Finish();
    }

    [Benchmark]
    public void BackwardWithWeight()
    {
        backward(_x, _weight, _given, _dy, _dx, _dweight, false, false);
        Finish();
    }

    public sealed override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 2.0 : 3.0) * shape.Dims[0] * shape.Dims[1]);
}
