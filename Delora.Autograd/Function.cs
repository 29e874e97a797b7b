using Delora.Core;

namespace Delora.Autograd;

/// <summary>
/// One recorded operation: what it saved of the forward pass, and the way back. A subclass keeps the tensors that its backward pass needs in fields.
/// </summary>
public abstract class Function
{
    private List<Tensor>? _saved;

    /// <summary>The results, in the order they were recorded.</summary>
    internal Tensor[] Outputs { get; set; } = [];

    /// <summary>
    /// Computes the gradients of the inputs from those of the outputs: reads <see cref="GradientFlow.Of"/>, asks
    /// <see cref="GradientFlow.Needs"/> before it computes anything, and hands each result to <see cref="GradientFlow.Add"/>.
    /// </summary>
    protected internal abstract void Backward(GradientFlow flow);

    /// <summary>Marks a tensor that exists for this function's backward pass alone: it is freed right after it.</summary>
    protected Tensor Save(Tensor tensor)
    {
        (_saved ??= []).Add(tensor);
        return tensor;
    }

    internal void ReleaseSaved()
    {
        if (_saved is null) return;
        foreach (Tensor tensor in _saved) tensor.Dispose();
        _saved = null;
    }
}
