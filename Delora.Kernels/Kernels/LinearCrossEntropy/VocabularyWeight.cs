using Delora.Core;

namespace Delora.Kernels;

/// <summary>The weight [vocab, dim] of <see cref="LinearCrossEntropyKernel"/>: prepared and frozen, or a tensor that is trained.</summary>
internal readonly struct VocabularyWeight
{
    private readonly FrozenWeight? _frozen;

    internal VocabularyWeight(FrozenWeight frozen) => (_frozen, Vocabulary, Dim) = (frozen, frozen.Out, frozen.In);

    internal VocabularyWeight(Tensor tensor) => (Tensor, Vocabulary, Dim) = (tensor, tensor.Shape[0], tensor.Shape[1]);

    /// <summary>The tensor; null for a frozen weight.</summary>
    internal Tensor? Tensor { get; }

    internal int Vocabulary { get; }

    internal int Dim { get; }

    /// <summary>The tensor, on the reference device; to be disposed after use.</summary>
    internal DenseWeight Reference() => Tensor is null ? ((ReferenceFrozenWeight)_frozen!).Dense() : new(Tensor, owned: false);

    internal void CheckDevice(string op, Tensor x)
    {
        if (_frozen is not null && _frozen.Device != x.Device)
            throw new DeviceException($"{op}: '{x.Name}' {x.Shape} lies on {x.Device.Name}, the weight [{Vocabulary}, {Dim}] on {_frozen.Device.Name}");
    }

    /// <summary>logits = x Wᵀ.</summary>
    internal void Logits(Tensor x, Tensor logits)
    {
        if (_frozen is null) MatMulKernel.Forward(x, Tensor!, logits, MatMulLayout.NT);
        else FrozenLinearKernel.Forward(x, _frozen, null, logits);
    }

    /// <summary>dx = d W.</summary>
    internal void Backward(Tensor d, Tensor dx)
    {
        if (_frozen is null) MatMulKernel.Forward(d, Tensor!, dx);
        else FrozenLinearKernel.Backward(d, _frozen, dx);
    }
}
