using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Autograd;

/// <summary>The two inputs of a sum share its gradient: whoever writes to it, in whatever order, must not be seen by the other.</summary>
public sealed class SharedGradientTests
{
    private static readonly Device s_device = Devices.Reference;

    public static TheoryData<string> Cases => [.. s_computations.Keys];

    // What is recorded later comes first on the way back.
    private static readonly Dictionary<string, Func<Parameter, Tensor>> s_computations = new()
    {
        ["both overwrite"] = p => p.Value.Tanh().Add(p.Value.Silu()),
        ["a sum with itself"] = p => p.Value.Tanh() is var a ? a.Add(a).Silu() : a,
        ["the branch reads, the residual is added to"] = p => p.Value.Tanh() is var a ? a.Add(Norm(a).MatMul(Square)) : a,
        ["a kernel adds while the other waits"] = p => (p.Value.Tanh(), p.Value.Silu()) is var (a, b) && Norm(a) is var n ? a.Add(b).Add(n) : n,
        ["a gradient is added while the other waits"] =
            p => (p.Value.Tanh(), p.Value.Silu()) is var (a, b) && a.Sigmoid() is var u ? a.Add(b).Add(u) : u,
        ["a sum of sums"] = p => (p.Value.Tanh(), p.Value.Silu()) is var (a, b) && a.Add(b) is var s ? s.Add(s.Sigmoid().Add(b)) : s,
        ["through a reshape"] = p => p.Value.Tanh() is var a ? a.Add(a.Reshape([3, 2]).Silu().Reshape([2, 3])) : a,
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void GradientsAreThoseOfTheFunction(string name)
    {
        using Parameter p = new("p", Tensor.From([0.3, -0.7, 1.1, 0.5, -1.2, 0.8], [2, 3], s_device));
        GradientCheck.Numerical(() => s_computations[name](p), [p]);
    }

    private static Tensor Square => Tensor.From([0.5, -1, 0.2, 0.7, 0.4, -0.3, -0.6, 0.9, 1.3], [3, 3], s_device);

    private static Tensor Norm(Tensor x) => x.LayerNorm(Tensor.From([1.5, 0.5, -1], [3], s_device), null, 1e-5);
}
