using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Compare;

/// <summary>C = A·B with each operand packed on the way, or over a weight that was packed beforehand.</summary>
internal sealed class OwnProduct : ICompareWork
{
    private readonly CpuDevice _cpu;
    private readonly Tensor _a, _c;
    private readonly Tensor? _b;
    private readonly FrozenWeight? _frozen;
    private readonly MatMulLayout _layout;

    internal OwnProduct(CompareCase @case)
    {
        int m = @case.Sizes[0], n = @case.Sizes[1], k = @case.Sizes[2];
        _cpu = new CpuDevice(@case.Threads);
        _layout = @case.Variant switch { "NN" => MatMulLayout.NN, "TN" => MatMulLayout.TN, _ => MatMulLayout.NT };
        _a = Own.From(_cpu, "a", 1, _layout == MatMulLayout.TN ? [k, m] : [m, k]);
        Tensor b = Own.From(_cpu, "b", 1, _layout == MatMulLayout.NT ? [n, k] : [k, n]);
        _c = Tensor.Empty([m, n], DType.Float32, _cpu, "c");
        if (@case.Variant != "frozen")
        {
            _b = b;
            return;
        }
        _frozen = FrozenWeight.Create(b);
        b.Dispose();
    }

    public void Run()
    {
        if (_frozen is null) MatMulKernel.Forward(_a, _b!, _c, _layout);
        else FrozenLinearKernel.Forward(_a, _frozen, null, _c);
    }

    public Dictionary<string, double[]> Results()
    {
        Run();
        return new() { ["C"] = Own.Sample(_c) };
    }

    public void Dispose()
    {
        _a.Dispose();
        _b?.Dispose();
        _c.Dispose();
        _frozen?.Dispose();
        _cpu.Dispose();
    }
}
