using Delora.Bench.Compare;
using TorchSharp;
using static TorchSharp.torch;

namespace Delora.Bench.Peer;

/// <summary>One linear layer with PEFT's DeLoRA, forward, or forward and backward with all gradients.</summary>
internal sealed class LayerWork : ICompareWork
{
    private readonly DeloraLinear _layer;
    private readonly Tensor _x, _dy;
    private readonly bool _backward;
    private Tensor? _y;

    internal LayerWork(CompareCase @case)
    {
        (int tokens, int width, int rank) = (@case.Sizes[0], @case.Sizes[1], @case.Sizes[2]);
        _backward = @case.Variant == "backward";
        _layer = new DeloraLinear("layer", width, width, bias: true, rank, trained: false);
        _x = Torch.From("x", 1, [tokens, width]).requires_grad_(_backward);
        _dy = Torch.From("dy", 1, [tokens, width]);
    }

    public void Run()
    {
        using IDisposable scope = NewDisposeScope();
        if (!_backward)
        {
            using IDisposable noGradient = no_grad();
            _layer.Forward(_x).Dispose();
            return;
        }
        foreach (Tensor tensor in (Tensor[])[_x, .. _layer.Trained]) tensor.grad = null;
        _layer.Forward(_x).backward([_dy]);
    }

    public Dictionary<string, double[]> Results()
    {
        using (no_grad()) _y = _layer.Forward(_x);
        var results = new Dictionary<string, double[]> { ["y"] = Torch.Sample(_y) };
        if (!_backward) return results;
        Run();
        results["dx"] = Torch.Sample(_x.grad!);
        results["dA"] = Torch.Sample(_layer.A!.grad!);
        results["dB"] = Torch.Sample(_layer.B!.grad!);
        results["dλ"] = Torch.Sample(_layer.Lambda!.grad!);
        return results;
    }

    public void Dispose()
    {
        _y?.Dispose();
        _x.Dispose();
        _dy.Dispose();
        foreach (Tensor tensor in _layer.Trained) tensor.Dispose();
    }
}
