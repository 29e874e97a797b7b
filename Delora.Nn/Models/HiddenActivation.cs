using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The elementwise functions of feed-forward parts, by the names that transformers gives them (<c>ACT2FN</c>).</summary>
internal static class HiddenActivation
{
    private static readonly Dictionary<string, Func<Tensor, Tensor>> s_known = new(StringComparer.Ordinal)
    {
        ["gelu"] = Functions.Gelu,
        ["gelu_python"] = Functions.Gelu,
        // One function under three names: the tanh approximation. gelu_fast's rounded √(2/π) differs by 1e-11.
        ["gelu_new"] = Functions.GeluTanh,
        ["gelu_pytorch_tanh"] = Functions.GeluTanh,
        ["gelu_fast"] = Functions.GeluTanh,
        ["relu"] = Functions.Relu,
        ["silu"] = Functions.Silu,
        ["swish"] = Functions.Silu,
        ["tanh"] = Functions.Tanh,
        ["sigmoid"] = Functions.Sigmoid,
    };

    /// <summary>All names, for messages.</summary>
    internal static string Names => string.Join(", ", s_known.Keys);

    internal static bool IsKnown(string name) => s_known.ContainsKey(name);

    /// <summary>The function of a name that <see cref="IsKnown"/>.</summary>
    internal static Func<Tensor, Tensor> Of(string name) => s_known[name];
}
