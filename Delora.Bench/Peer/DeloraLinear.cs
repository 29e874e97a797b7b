using Delora.Bench.Compare;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Delora.Bench.Peer;

/// <summary>
/// A linear layer as PEFT runs it with an active DeLoRA adapter (<c>peft/tuners/delora/layer.py</c>, <c>DeloraLinear.forward</c>): the same
/// operations in the same order, with torch's own autograd. With rank 0 the plain layer.
/// </summary>
internal sealed class DeloraLinear
{
    private readonly Tensor _weight;
    private readonly Tensor? _bias, _norms;
    private readonly int _rank;

    internal DeloraLinear(string name, int @in, int @out, bool bias, int rank, bool trained)
    {
        Parameter weight = Torch.Weight($"{name}.weight", trained, @out, @in);
        Parameter? offset = bias ? Torch.Weight($"{name}.bias", trained, @out) : null;
        (_weight, _bias) = (weight, offset);
        _rank = rank;
        if (trained) Trained.AddRange(offset is null ? [weight] : [weight, offset]);
        if (rank == 0) return;
        A = Torch.Weight($"{name}.delora_A", true, rank, @in);
        B = Torch.Weight($"{name}.delora_B", true, @out, rank);
        Lambda = new Parameter(full(1, ModelShape.Lambda), true);
        _norms = _weight.norm(0, false, 2f).detach();
        Trained.AddRange([A, B, Lambda]);
    }

    internal List<Parameter> Trained { get; } = [];

    internal Parameter? A { get; }

    internal Parameter? B { get; }

    internal Parameter? Lambda { get; }

    internal Tensor Forward(Tensor x)
    {
        Tensor y = F.linear(x, _weight, _bias);
        if (_rank == 0) return y;
        Tensor added = zeros_like(y);
        Tensor h = F.linear(x * _norms!, A!);
        Tensor normA = clamp(A!.norm(1, false, 2f), 1e-4), normB = clamp(B!.norm(0, false, 2f), 1e-4);
        h = h * (Lambda! / _rank / (normA * normB));
        added.add_(F.linear(h, B!));
        return y + added;
    }
}
