using Delora.Autograd;
using Delora.Core;

namespace Delora.Tests.Autograd;

/// <summary>The two inputs of a sum hold one gradient. Whoever writes to it first, and however, the other keeps what arrived.</summary>
public sealed class SharedGradientTests
{
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
