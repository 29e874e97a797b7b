using System.Diagnostics.CodeAnalysis;
using Delora.Core;

namespace Delora.Autograd;

/// <summary>
/// The gradients of one backward pass, addressed by tensor. What reaches a parameter is added to <see cref="Parameter.Gradient"/>; what
/// reaches a recorded tensor waits for the function that made it.
/// </summary>
public sealed class GradientFlow
{
    private readonly Dictionary<Tensor, Tensor> _gradients = new(ReferenceEqualityComparer.Instance);

    /// <summary>
    /// Gradients that two tensors hold. Who wants to write makes a copy, unless the other has let go before, as it nearly always has.
    /// </summary>
    private readonly HashSet<Tensor> _shared = new(ReferenceEqualityComparer.Instance);
    private readonly List<Parameter> _unwritten = [];

    internal GradientFlow() { }

    /// <summary>Whether a gradient towards this tensor is wanted. Nothing is computed where it is not.</summary>
    public bool Needs([NotNullWhen(true)] Tensor? tensor) => tensor?.GradientState is not null;

    /// <summary>The gradient that arrived at a recorded output. The flow frees it after the function's backward pass.</summary>
    /// <exception cref="GradientException">None arrived: a function of several outputs asks <see cref="TryGet"/>.</exception>
    public Tensor Of(Tensor output) =>
        _gradients.TryGetValue(output, out Tensor? gradient) ? gradient : throw new GradientException($"No gradient arrived at '{output.Name}' {output.Shape}.");

    /// <summary>The gradient that arrived at one of several outputs, if any did.</summary>
    public bool TryGet(Tensor output, [NotNullWhen(true)] out Tensor? gradient) => _gradients.TryGetValue(output, out gradient);

    /// <summary>
    /// Takes the gradient of an output out of the flow, so that the function may overwrite it (for instance with the gradient of its input) and hand
    /// it on. The caller owns it.
    /// </summary>
    /// <exception cref="GradientException">None arrived.</exception>
    public Tensor Take(Tensor output)
    {
        Tensor gradient = OwnCopy(Of(output));
        _gradients.Remove(output);
        return gradient;
    }

    /// <summary>Adds to the gradient of an input and takes over the tensor: the caller must not use it afterwards.</summary>
    /// <exception cref="GradientException">The shapes differ, or the input needs no gradient.</exception>
    public void Add(Tensor input, Tensor gradient)
    {
        switch (input.GradientState)
        {
            case Parameter parameter:
                parameter.Accumulate(gradient);
                break;
            case Recorded:
                if (gradient.Shape != input.Shape)
                    throw new GradientException($"The gradient of '{input.Name}' {input.Shape} came out as {gradient.Shape}.");
                if (_gradients.TryGetValue(input, out Tensor? sum))
                {
                    if (_shared.Remove(sum))
                    {
                        Kernels.AddKernel.Forward(sum, gradient, gradient);
                        _gradients[input] = gradient;
                        break;
                    }
                    Kernels.AddKernel.Forward(sum, gradient, sum);
                    gradient.Dispose();
                }
                else
                {
                    _gradients.Add(input, gradient);
                }
                break;
            default:
                throw new GradientException($"A gradient was computed for '{input.Name}' {input.Shape}, which needs none.");
        }
    }

    /// <summary>
    /// Adds one gradient to those of two inputs, as <see cref="Add"/> twice. Where both keep it they share it: the branch beside a residual connection has
    /// read it before the connection's own gradient is added to.
    /// </summary>
    /// <exception cref="GradientException">The shapes differ, or an input needs no gradient.</exception>
    public void AddToBoth(Tensor first, Tensor second, Tensor gradient)
    {
        bool shares = first != second && !_shared.Contains(gradient) && Waits(first) && Waits(second);
        if (!shares)
        {
            Tensor copy = Tensor.Empty(gradient.Shape, gradient.DType, gradient.Device, gradient.Name);
            copy.CopyFrom(gradient);
            Add(first, copy);
            Add(second, gradient);
            return;
        }
        Add(first, gradient);
        Add(second, gradient);
        _shared.Add(gradient);

        bool Waits(Tensor input) => input.GradientState is Recorded && !_gradients.ContainsKey(input);
    }

    /// <summary>
    /// Where a kernel that can accumulate writes the gradient of <paramref name="input"/>: an existing sum with
    /// <paramref name="accumulate"/> set, or fresh memory without it. Nothing needs to be handed to <see cref="Add"/> afterwards.
    /// </summary>
    public Tensor Target(Tensor input, out bool accumulate)
    {
        Tensor? existing = input.GradientState is Parameter parameter ? parameter.GradientBuffer : _gradients.GetValueOrDefault(input);
        accumulate = existing is not null;
        if (existing is not null)
        {
            Tensor own = OwnCopy(existing);
            if (own != existing) _gradients[input] = own;
            return own;
        }
        Tensor fresh = Tensor.Empty(input.Shape, input.DType, input.Device, $"gradient of {input.Name}");
        Add(input, fresh);
        if (input.GradientState is Parameter owner) _unwritten.Add(owner);
        return fresh;
    }

    /// <summary>Plays one function backward. Where it fails, no parameter keeps a target that may not have been written.</summary>
    internal void Run(Function function)
    {
        _unwritten.Clear();
        try
        {
            function.Backward(this);
        }
        catch
        {
            foreach (Parameter parameter in _unwritten) parameter.ZeroGradient();
            throw;
        }
    }

    internal void Start(Tensor root, Tensor gradient) => _gradients.Add(root, gradient);

    internal bool Reached(Function function)
    {
        foreach (Tensor output in function.Outputs)
            if (_gradients.ContainsKey(output)) return true;
        return false;
    }

    internal void Release(Function function)
    {
        foreach (Tensor output in function.Outputs)
            if (_gradients.Remove(output, out Tensor? gradient) && !_shared.Remove(gradient)) gradient.Dispose();
    }

    internal void ReleaseAll()
    {
        foreach (Tensor gradient in _gradients.Values) gradient.Dispose();
        _gradients.Clear();
        _shared.Clear();
    }

    /// <summary>The gradient itself, or a copy where another tensor shares it, which has it alone from now on.</summary>
    private Tensor OwnCopy(Tensor gradient)
    {
        if (!_shared.Contains(gradient)) return gradient;
        Tensor copy = Tensor.Empty(gradient.Shape, gradient.DType, gradient.Device, gradient.Name);
        copy.CopyFrom(gradient);
        _shared.Remove(gradient);
        return copy;
    }
}

/// <summary>The <see cref="Tensor.GradientState"/> of a recorded result: which tape knows it.</summary>
internal sealed class Recorded(Tape tape) : IRecorded
{
    internal Tape Tape { get; } = tape;
}
