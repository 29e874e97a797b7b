using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>A' = A ∘ w and B' = B ∘ s, and the gradients of A, B and λ: what an adapted layer costs beside its products, whatever the batch.</summary>
public class DeloraFoldBenchmarks : OpBenchmarks
{
    private Tensor _a = null!, _b = null!, _lambda = null!, _w = null!, _scales = null!, _givenScales = null!;
    private Tensor _foldedA = null!, _foldedB = null!;
    private Tensor _dFoldedA = null!, _dFoldedB = null!, _dA = null!, _dB = null!, _dLambda = null!;

    public override IEnumerable<BenchShape> Shapes => DeloraShapes.All;

    protected override BenchShape ValidationShape => DeloraShapes.Validation;

    protected override void Prepare(BenchShape shape)
    {
        (int rank, int columns, int rows) = (shape.Dims[0], shape.Dims[1], shape.Dims[2]);
        _a = Input([rank, columns]);
        _b = Input([rows, rank]);
        _lambda = Input([1], 1, 2);
        _w = Input([columns], 0, 1);
        _scales = Output([3, rank]);
        _givenScales = Input([3, rank], 1, 2);
        _foldedA = Output([rank, columns]);
        _foldedB = Output([rows, rank]);
        _dFoldedA = Input([rank, columns]);
        _dFoldedB = Input([rows, rank]);
        _dA = Output([rank, columns]);
        _dB = Output([rows, rank]);
        _dLambda = Output([1]);
    }

    [Benchmark]
    public void Forward()
    {
        DeloraFoldKernel.Forward(_a, _b, _lambda, _w, _scales, _foldedA, _foldedB);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        DeloraFoldKernel.Backward(_a, _b, _w, _givenScales, _dFoldedA, _dFoldedB, _dA, _dB, _dLambda);
        Finish();
    }

    public override Work WorkOf(string benchmark, BenchShape shape) =>
        Work.Floats((benchmark == nameof(Forward) ? 2.0 : 3.0) * shape.Dims[0] * (shape.Dims[1] + shape.Dims[2]));
}
