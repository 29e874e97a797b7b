using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Something with one tensor in and one out: what <see cref="Sequential"/> strings together.</summary>
public interface ITensorModule
{
    /// <summary>
    /// Computes the output. Call it in an open <see cref="Tape"/> to train, or in a <see cref="TensorScope"/> otherwise: they free what is
    /// made on the way, which nobody else can dispose.
    /// </summary>
    Tensor Forward(Tensor x);
}

/// <summary>An elementwise function as a module, for instance <c>new Activation(Functions.Gelu)</c> or <see cref="Relu"/>.</summary>
public sealed class Activation(Func<Tensor, Tensor> function) : Module, ITensorModule
{
    /// <summary>max(x, 0).</summary>
    public static Activation Relu() => new(Functions.Relu);

    /// <summary>x Φ(x), with the error function.</summary>
    public static Activation Gelu() => new(Functions.Gelu);

    /// <summary>The tanh approximation of GELU.</summary>
    public static Activation GeluTanh() => new(Functions.GeluTanh);

    /// <summary>x σ(x).</summary>
    public static Activation Silu() => new(Functions.Silu);

    /// <summary>tanh x.</summary>
    public static Activation Tanh() => new(Functions.Tanh);

    /// <summary>σ(x) = 1/(1 + e⁻ˣ).</summary>
    public static Activation Sigmoid() => new(Functions.Sigmoid);

    /// <inheritdoc/>
    public Tensor Forward(Tensor x) => function(x);
}
