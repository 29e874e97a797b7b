using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Bench.Compare;

/// <summary>One linear layer with DeLoRA, or without at rank 0: forward, or forward and backward with all gradients.</summary>
internal sealed class OwnLayer : ICompareWork
{
    private readonly CpuDevice _cpu;
    private readonly Linear _layer;
    private readonly Parameter _x;
    private readonly Tensor _dy;
    private readonly ParameterArena _arena;
    private readonly bool _backward, _ownsDevice;

    internal OwnLayer(CompareCase @case, CpuDevice? shared = null)
    {
        (int tokens, int width, int rank) = (@case.Sizes[0], @case.Sizes[1], @case.Sizes[2]);
        _backward = @case.Variant == "backward";
        _cpu = shared ?? new CpuDevice(@case.Threads);
        _ownsDevice = shared is null;
        _layer = new Linear(Own.Weight(_cpu, "layer.weight", width, width), Own.Weight(_cpu, "layer.bias", width));
        _layer.Freeze();
        if (rank > 0) Own.Adapt(_layer, "layer", rank);
        _x = new Parameter("x", Own.From(_cpu, "x", 1, [tokens, width]));
        _dy = Own.From(_cpu, "dy", 1, [tokens, width]);
        _arena = new ParameterArena([_x, .. Adapter?.Parameters.Select(pair => pair.Parameter) ?? []]);
    }

    private DeloraAdapter? Adapter => _layer.Adapters.Names.Any() ? (DeloraAdapter)_layer.Adapters["default"] : null;

    public void Run()
    {
        if (!_backward)
        {
            using IDisposable pause = Tape.Pause();
            using var scope = new TensorScope();
            _layer.Forward(_x);
            return;
        }
        _arena.ZeroGradients();
        using var tape = new Tape();
        tape.Backward(_layer.Forward(_x), _dy);
    }

    public Dictionary<string, double[]> Results()
    {
        using var scope = new TensorScope();
        var results = new Dictionary<string, double[]>();
        using (Tape.Pause()) results["y"] = Own.Sample(_layer.Forward(_x));
        if (!_backward) return results;
        Run();
        results["dx"] = Own.Sample(_x.Gradient!);
        results["dA"] = Own.Sample(Adapter!.A.Gradient!);
        results["dB"] = Own.Sample(Adapter.B.Gradient!);
        results["dλ"] = Own.Sample(Adapter.Lambda.Gradient!);
        return results;
    }

    public void Dispose()
    {
        _arena.Dispose();
        _layer.Dispose();
        _x.Dispose();
        _dy.Dispose();
        if (_ownsDevice) _cpu.Dispose();
    }
}
