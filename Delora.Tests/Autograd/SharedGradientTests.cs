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

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void EachInputOfASumHasItsOwn(string device)
    {
        // Both branches overwrite what they take.
        Check(device, p => p[0].Value.Scale(2).Add(p[1].Value.Gelu()));
        // One input has a gradient before the sum's arrives, the other gets one afterwards.
        Check(device, p =>
        {
            Tensor u = p[0].Value.Scale(2), v = p[1].Value.Gelu(), later = v.Gelu();
            return u.Add(v).Multiply(u).Multiply(later);
        });
        // A residual connection around what accumulates by itself: a norm, and a linear layer.
        Check(device, p =>
        {
            Tensor u = p[0].Value.Scale(2);
            return u.Add(u.RmsNorm(p[2], 1e-5)).Multiply(p[1]);
        }, [5]);
        Check(device, p =>
        {
            Tensor u = p[0].Value.Gelu();
            return u.Add(u.Linear(p[2], null)).Multiply(p[1]);
        }, [5, 5]);
        // Sums of sums: what is shared is shared again, and a view is taken of it.
        Check(device, p =>
        {
            Tensor u = p[0].Value.Scale(2), v = p[1].Value.Gelu(), w = u.Gelu();
            return u.Add(v).Add(w.Add(v.Reshape([5, 3]).Scale(3).Reshape([3, 5]))).Add(w).Multiply(v);
        });
    }

    private static void Check(string device, Func<Parameter[], Tensor> function, params int[][] others) =>
        Ops.ElementwiseCheck.Gradients(device, function, [[3, 5], [3, 5], .. others]);
}
