using Delora.Core;

namespace Delora.Autograd;

/// <summary>
/// A named tensor that gradients are computed for. Its gradient accumulates over backward passes until <see cref="ZeroGradient"/>. The
/// parameter owns its value and its gradient; where it belongs to a <see cref="ParameterArena"/>, both are views of the arena's flat buffers.
/// </summary>
public sealed class Parameter : IDisposable
{
    private bool _requiresGradient;

    /// <summary>Takes over a tensor as the value of a parameter.</summary>
    /// <param name="name">The name that errors and files show; a module prefixes its own.</param>
    /// <param name="value">The value, of the device's floating-point type. The parameter owns it from now on.</param>
    /// <param name="requiresGradient">Whether gradients are computed for it.</param>
    /// <exception cref="DTypeException">The value is not of the device's floating-point type.</exception>
    /// <exception cref="GradientException">The value is the result of a recorded operation.</exception>
    public Parameter(string name, Tensor value, bool requiresGradient = true)
    {
        Check.Floats($"Parameter '{name}'", value);
        if (value.GradientState is not null)
            throw new GradientException($"'{value.Name}' {value.Shape} cannot become the parameter '{name}': it belongs to a recorded computation or to another parameter.");
        Name = name;
        Value = value.Own();
        RequiresGradient = requiresGradient;
    }

    /// <summary>The name that errors and files show.</summary>
    public string Name { get; }

    /// <summary>The value. Operations take the parameter itself as well.</summary>
    public Tensor Value { get; private set; }

    /// <summary>Shape of the value and of the gradient.</summary>
    public Shape Shape => Value.Shape;

    /// <summary>The accumulated gradient; null before the first backward pass that reached the parameter, in an arena zeros.</summary>
    public Tensor? Gradient { get; private set; }

    /// <summary>Whether gradients are computed. Setting it to false drops the gradient that there is, unless an arena holds it.</summary>
    public bool RequiresGradient
    {
        get => _requiresGradient;
        set
        {
            _requiresGradient = value;
            Value.GradientState = value ? this : null;
            if (value || Arena is not null) return;
            Gradient?.Dispose();
            Gradient = null;
        }
    }

    /// <summary>The arena whose flat buffers hold the value and the gradient; null where they stand alone.</summary>
    public ParameterArena? Arena { get; private set; }

    /// <summary>The value, as an operand of operations.</summary>
    public static implicit operator Tensor(Parameter parameter) => parameter.Value;

    /// <summary>Forgets the accumulated gradient.</summary>
    public void ZeroGradient()
    {
        if (Arena is not null)
        {
            Gradient!.FillZero();
            return;
        }
        Gradient?.Dispose();
        Gradient = null;
    }

    /// <summary>Frees the value and the gradient.</summary>
    public void Dispose()
    {
        Value.Dispose();
        Gradient?.Dispose();
        Gradient = null;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Name} {Shape} {Value.DType.Name}{(RequiresGradient ? "" : ", frozen")}";

    /// <summary>Adds a gradient and takes over its tensor.</summary>
    internal void Accumulate(Tensor gradient)
    {
        if (gradient.Shape != Shape)
            throw new GradientException($"The gradient of parameter '{Name}' {Shape} came out as {gradient.Shape}.");
        if (Gradient is null)
        {
            Gradient = gradient.Own();
            return;
        }
        Kernels.AddKernel.Forward(Gradient, gradient, Gradient);
        gradient.Dispose();
    }

    /// <summary>The tensor that a kernel can add the gradient to by itself; null where there is none yet.</summary>
    internal Tensor? GradientBuffer => Gradient;

    /// <summary>Moves the value into an arena's buffers.</summary>
    internal void Rebind(ParameterArena? arena, Tensor value, Tensor? gradient)
    {
        value.CopyFrom(Value);
        if (gradient is not null)
        {
            if (Gradient is null) gradient.FillZero();
            else gradient.CopyFrom(Gradient);
        }
        Value.GradientState = null;
        Value.Dispose();
        Gradient?.Dispose();
        Arena = arena;
        Value = value.Own();
        Value.GradientState = _requiresGradient ? this : null;
        Gradient = gradient?.Own();
    }
}
