using Delora.Bench.Compare;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Delora.Bench.Peer;

/// <summary>A whole training step of a language model: forward, cross-entropy, backward, AdamW.</summary>
internal sealed class StepWork : ICompareWork
{
    private readonly ModelShape _shape;
    private readonly Network _network;
    private readonly optim.Optimizer _optimizer;
    private readonly Tensor _ids, _targets;

    internal StepWork(ModelShape shape)
    {
        _shape = shape;
        _network = shape.IsLlama ? new LlamaNetwork(shape) : new GptNetwork(shape);
        _optimizer = optim.AdamW(_network.Trained, ModelShape.LearningRate, weight_decay: ModelShape.WeightDecay);
        _ids = Torch.Ids(shape.Ids(0), shape.Batch, shape.Length);
        _targets = Torch.Ids(shape.Ids(1), shape.Batch, shape.Length).view(-1);
    }

    public void Run() => Step();

    public Dictionary<string, double[]> Results() => new() { ["loss of three steps"] = [Step(), Step(), Step()] };

    public void Dispose()
    {
        _optimizer.Dispose();
        _ids.Dispose();
        _targets.Dispose();
        foreach (Tensor tensor in _network.Trained) tensor.Dispose();
    }

    private double Step()
    {
        using IDisposable scope = NewDisposeScope();
        _optimizer.zero_grad();
        Tensor logits = _network.Forward(_ids).view(-1, _shape.Vocabulary), loss = F.cross_entropy(logits, _targets);
        loss.backward();
        _optimizer.step();
        return loss.item<float>();
    }
}
