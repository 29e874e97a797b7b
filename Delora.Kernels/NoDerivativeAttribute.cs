namespace Delora.Kernels;

/// <summary>
/// Marks a kernel that has no derivative, so that nobody expects a function of its name in Delora.Autograd. Every other kernel must have one: a
/// gradient is implemented or refused, never lost in silence.
/// </summary>
/// <param name="reason">Why there is none, in one sentence.</param>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class NoDerivativeAttribute(string reason) : Attribute
{
    /// <summary>Why there is no derivative.</summary>
    public string Reason { get; } = reason;
}
