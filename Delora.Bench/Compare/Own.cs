using Delora.Autograd;
using Delora.Core;
using Delora.Nn;

namespace Delora.Bench.Compare;

/// <summary>Tensors from the numbers that both sides make, and back.</summary>
internal static class Own
{
    internal static Tensor From(Device device, string name, double scale, Shape shape) =>
        Tensor.From(Numbers.Uniform(name, shape.ElementCount, scale), shape, device, name);

    internal static Tensor Weight(Device device, string name, params int[] shape) =>
        device.IsPlanning ? Tensor.Empty(new Shape(shape), device.FloatType, device, name)
        : Tensor.From(Numbers.Weight(name, shape), new Shape(shape), device, name);

    internal static double[] Sample(Tensor tensor) => Numbers.Sample(tensor.ToArray<float>());

    /// <summary>Gives a parameter the values that its name stands for.</summary>
    internal static void Fill(string name, Parameter parameter)
    {
        if (!parameter.Value.Device.IsPlanning) parameter.Value.CopyFrom<float>(Numbers.Weight(name, parameter.Shape.Dims.ToArray()));
    }

    /// <summary>An adapter whose A and B have the values that the layer's name stands for.</summary>
    internal static void Adapt(Linear layer, string name, int rank)
    {
        DeloraAdapter adapter = DeloraAdapter.Create(
            layer.Adapters.BaseColumnNorms(), layer.Out, rank, ModelShape.Lambda, new Generator(1), randomB: true);
        layer.Adapters.Add("default", adapter);
        layer.Adapters.Activate("default");
        Fill($"{name}.delora_A", adapter.A);
        Fill($"{name}.delora_B", adapter.B);
    }
}
