using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>The elementwise functions of feed-forward parts, by the names that transformers gives them (<c>ACT2FN</c>).</summary>
internal static class HiddenActivation
{
    private static readonly Dictionary<string, ActivationKind> s_known = new(StringComparer.Ordinal)
    {
        ["gelu"] = ActivationKind.Gelu,
        ["gelu_python"] = ActivationKind.Gelu,
        // One function under three names: the tanh approximation. gelu_fast's rounded √(2/π) differs by 1e-11.
        ["gelu_new"] = ActivationKind.GeluTanh,
        ["gelu_pytorch_tanh"] = ActivationKind.GeluTanh,
        ["gelu_fast"] = ActivationKind.GeluTanh,
        ["relu"] = ActivationKind.Relu,
        ["silu"] = ActivationKind.Silu,
        ["swish"] = ActivationKind.Silu,
        ["tanh"] = ActivationKind.Tanh,
        ["sigmoid"] = ActivationKind.Sigmoid,
    };

    /// <summary>All names, for messages.</summary>
    internal static string Names => string.Join(", ", s_known.Keys);

    internal static bool IsKnown(string name) => s_known.ContainsKey(name);

    /// <summary>The function of a name that <see cref="IsKnown"/>.</summary>
    internal static ActivationKind Of(string name) => s_known[name];

    /// <summary>f(x) by a function of its own, for where no linear layer ends with it; x itself without an activation.</summary>
    internal static Tensor Apply(ActivationKind kind, Tensor x) => kind switch
    {
        ActivationKind.None => x,
        ActivationKind.Relu => x.Relu(),
        ActivationKind.Gelu => x.Gelu(),
        ActivationKind.GeluTanh => x.GeluTanh(),
        ActivationKind.Silu => x.Silu(),
        ActivationKind.Tanh => x.Tanh(),
        ActivationKind.Sigmoid => x.Sigmoid(),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "no such activation"),
    };
}
