using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// What becomes of a product z = op(a)·op(b) + bias while its tiles are still at hand: y = f(z) + residual. The default is y = z.
/// </summary>
public readonly record struct Epilogue
{
    /// <summary>f.</summary>
    public ActivationKind Activation { get; init; }

    /// <summary>Output: receives z, y's shape, for the backward pass of f; null where it is not wanted. Only with an activation.</summary>
    public Tensor? Preactivation { get; init; }

    /// <summary>Added to f(z), y's shape; null for none. Must not overlap y.</summary>
    public Tensor? Residual { get; init; }

    /// <summary>Whether y = z.</summary>
    internal bool IsNone => Activation == ActivationKind.None && Residual is null;

    /// <summary>Checks what belongs to the epilogue. Element types and devices are the op's to check, with all its operands.</summary>
    /// <exception cref="ShapeException">z or the residual does not have y's shape.</exception>
    /// <exception cref="ArgumentException">
    /// z is wanted without an activation, an output shares memory with another operand, or there is no such activation.
    /// </exception>
    internal void CheckBeside(string op, Tensor y, params ReadOnlySpan<Tensor?> operands)
    {
        if (Activation is < ActivationKind.None or > ActivationKind.Sigmoid) throw ActivationKinds.Unknown(Activation);
        if (Residual is { } residual)
        {
            Check.SameShape(op, y, residual);
            Check.Apart(op, y, residual);
        }
        if (Preactivation is not { } z) return;
        if (Activation == ActivationKind.None) throw new ArgumentException($"{op}: z is kept for an activation's backward pass, and there is no activation");
        Check.SameShape(op, y, z);
        Check.Apart(op, z, y, Residual);
        Check.Apart(op, z, operands);
    }

    /// <summary>Where the product itself is stored by those who make the rest of y afterwards.</summary>
    internal Tensor ProductIn(Tensor y) => Preactivation ?? y;

    /// <summary>Makes y of the product in <see cref="ProductIn"/> by kernels of their own.</summary>
    internal void MakeAfterwards(Tensor y)
    {
        if (Activation != ActivationKind.None) Activation.Forward(ProductIn(y), y);
        if (Residual is not null) AddKernel.Forward(y, Residual, y);
    }
}
