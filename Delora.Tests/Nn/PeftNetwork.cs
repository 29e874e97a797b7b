using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

/// <summary>Two linear layers, an activation between them, and a list of two more that nothing calls: what adapters of all kinds are tried on.</summary>
internal sealed class PeftNetwork : Delora.Nn.Module
{
    internal PeftNetwork(ulong seed = 1, Device? device = null, int width = 20)
    {
        device ??= Devices.Cpu;
        var generator = new Generator(seed);
        Lin0 = Register("lin0", new Linear(10, width, device, generator));
        Lin1 = Register("lin1", new Linear(width, 2, device, generator));
        ModuleList heads = Register("heads", new ModuleList());
        heads.Add(new Linear(2, 3, device, generator));
        heads.Add(new Linear(2, 4, device, generator));
    }

    internal Linear Lin0 { get; }

    internal Linear Lin1 { get; }

    internal static DeloraConfig Config { get; } =
        new() { R = 4, DeloraLambda = 3, TargetModules = ModuleSelector.Of("lin0", "lin1"), InitWeights = false };

    internal float[] Run()
    {
        using var scope = new TensorScope();
        var values = new float[30];
        new Generator(77).FillNormal(values);
        return Lin1.Forward(Lin0.Forward(Tensor.From(values, [3, 10], Lin0.Device, "x")).Relu()).ToArray<float>();
    }

    internal float[] Weights()
    {
        using var scope = new TensorScope();
        return [.. NamedState().SelectMany(entry => entry.State.Read().ToArray<float>())];
    }
}
