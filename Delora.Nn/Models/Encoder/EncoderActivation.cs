using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The functions that transformers' <c>hidden_act</c> names, as far as there are ops for them.</summary>
/// <remarks>Source of the names: transformers, <c>activations.py</c>, <c>ACT2CLS</c>.</remarks>
public static class EncoderActivation
{
    private static readonly (string Name, Func<Tensor, Tensor> Function)[] s_known =
    [
        ("gelu", Functions.Gelu), ("gelu_python", Functions.Gelu), ("gelu_new", Functions.GeluTanh), ("gelu_fast", Functions.GeluTanh),
        ("gelu_pytorch_tanh", Functions.GeluTanh), ("relu", Functions.Relu), ("silu", Functions.Silu), ("swish", Functions.Silu),
        ("tanh", Functions.Tanh), ("sigmoid", Functions.Sigmoid),
    ];

    /// <summary>The names that are supported.</summary>
    public static IEnumerable<string> Names => s_known.Select(entry => entry.Name);

    /// <summary>The function of that name; null where it is not supported.</summary>
    internal static Func<Tensor, Tensor>? Of(string name) => s_known.FirstOrDefault(entry => entry.Name == name).Function;
}
