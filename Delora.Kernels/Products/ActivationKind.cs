using Delora.Core;

namespace Delora.Kernels;

/// <summary>An elementwise function f that a linear layer ends with: y = f(z), z = x Wᵀ + b.</summary>
public enum ActivationKind
{
    /// <summary>y = z.</summary>
    None,

    /// <summary><see cref="ReluKernel"/>.</summary>
    Relu,

    /// <summary><see cref="GeluKernel"/>.</summary>
    Gelu,

    /// <summary><see cref="GeluTanhKernel"/>.</summary>
    GeluTanh,

    /// <summary><see cref="SiluKernel"/>.</summary>
    Silu,

    /// <summary><see cref="TanhKernel"/>.</summary>
    Tanh,

    /// <summary><see cref="SigmoidKernel"/>.</summary>
    Sigmoid,
}

/// <summary>The kernels of activations by their kind, for where they do not come out of a product.</summary>
public static class ActivationKinds
{
    /// <summary>Whether the derivative is a function of the result, so that z need not be kept for the way back.</summary>
    public static bool IsFromResult(this ActivationKind kind) => kind is ActivationKind.Relu or ActivationKind.Tanh or ActivationKind.Sigmoid;

    /// <summary>y = f(z).</summary>
    /// <param name="kind">f, not <see cref="ActivationKind.None"/>.</param>
    /// <param name="z">Any shape.</param>
    /// <param name="y">The shape of z; may be z itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The kind is no function.</exception>
    public static void Forward(this ActivationKind kind, Tensor z, Tensor y)
    {
        switch (kind)
        {
            case ActivationKind.Relu: ReluKernel.Forward(z, y); break;
            case ActivationKind.Gelu: GeluKernel.Forward(z, y); break;
            case ActivationKind.GeluTanh: GeluTanhKernel.Forward(z, y); break;
            case ActivationKind.Silu: SiluKernel.Forward(z, y); break;
            case ActivationKind.Tanh: TanhKernel.Forward(z, y); break;
            case ActivationKind.Sigmoid: SigmoidKernel.Forward(z, y); break;
            default: throw Unknown(kind);
        }
    }

    /// <summary>dz = dy·f'(z).</summary>
    /// <param name="kind">f, not <see cref="ActivationKind.None"/>.</param>
    /// <param name="saved">f(z) where the derivative <see cref="IsFromResult"/>, else z.</param>
    /// <param name="dy">Gradient of y.</param>
    /// <param name="dz">Gradient of z; may be dy itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The kind is no function.</exception>
    public static void Backward(this ActivationKind kind, Tensor saved, Tensor dy, Tensor dz)
    {
        switch (kind)
        {
            case ActivationKind.Relu: ReluKernel.Backward(saved, dy, dz); break;
            case ActivationKind.Gelu: GeluKernel.Backward(saved, dy, dz); break;
            case ActivationKind.GeluTanh: GeluTanhKernel.Backward(saved, dy, dz); break;
            case ActivationKind.Silu: SiluKernel.Backward(saved, dy, dz); break;
            case ActivationKind.Tanh: TanhKernel.Backward(saved, dy, dz); break;
            case ActivationKind.Sigmoid: SigmoidKernel.Backward(saved, dy, dz); break;
            default: throw Unknown(kind);
        }
    }

    internal static ArgumentOutOfRangeException Unknown(ActivationKind kind) => new(nameof(kind), kind, "no such activation");
}
