using Delora.Bench.Compare;
using TorchSharp;
using static TorchSharp.torch;

namespace Delora.Bench.Peer;

/// <summary>C = A·B into memory that is there already.</summary>
internal sealed class ProductWork : ICompareWork
{
    private readonly Tensor _a, _b, _c;

    internal ProductWork(CompareCase @case)
    {
        int m = @case.Sizes[0], n = @case.Sizes[1], k = @case.Sizes[2];
        bool aTransposed = @case.Variant == "TN", bTransposed = @case.Variant is "NT" or "frozen";
        Tensor a = Torch.From("a", 1, aTransposed ? [k, m] : [m, k]), b = Torch.From("b", 1, bTransposed ? [n, k] : [k, n]);
        _a = aTransposed ? a.t() : a;
        _b = bTransposed ? b.t() : b;
        _c = zeros(m, n);
    }

    public void Run()
    {
        using IDisposable scope = NewDisposeScope();
        _c.addmm_(_a, _b, beta: 0, alpha: 1);
    }

    public Dictionary<string, double[]> Results()
    {
        Run();
        return new() { ["C"] = Torch.Sample(_c) };
    }

    public void Dispose()
    {
        _a.Dispose();
        _b.Dispose();
        _c.Dispose();
    }
}
