using System.Globalization;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>How a frozen linear layer keeps its weight.</summary>
/// <param name="Name">Full name of the module.</param>
/// <param name="Shape">[out, in].</param>
/// <param name="Storage">The storage.</param>
/// <param name="Directions">The layouts.</param>
/// <param name="ByteLength">Bytes that it takes, all layouts that there are at the moment included.</param>
/// <param name="Error">How far it is from the weight that was given.</param>
public sealed record FrozenLayer(string Name, Shape Shape, FrozenStorage Storage, FrozenDirections Directions, long ByteLength, WeightError Error)
{
    /// <summary>Bytes of its numbers in float32.</summary>
    public long Float32Length => Shape.ElementCount * sizeof(float);
}

/// <summary>Memory and errors of a model's weights.</summary>
/// <param name="Layers">The frozen linear layers.</param>
/// <param name="ParameterLength">Bytes of all other weights: embeddings of their own, norms, biases, layers that are trained.</param>
public sealed record FrozenWeightReport(IReadOnlyList<FrozenLayer> Layers, long ParameterLength)
{
    /// <summary>Bytes of the frozen linear layers.</summary>
    public long ByteLength => Layers.Sum(layer => layer.ByteLength);

    /// <summary>The error of all layers together.</summary>
    public WeightError Error => Layers.Aggregate(default(WeightError), (sum, layer) => sum + layer.Error);

    /// <summary>The storages and how many layers each keeps, as checkpoints remember them: <c>bfloat16 × 1, nf4 × 14</c>.</summary>
    public string Storages => string.Join(", ", Layers.GroupBy(layer => layer.Storage).OrderBy(group => group.Key)
        .Select(group => string.Create(CultureInfo.InvariantCulture, $"{group.Key.Name} × {group.Count()}")));

    /// <summary>Looks at a model.</summary>
    /// <param name="model">A model, or a part of one.</param>
    public static FrozenWeightReport Of(Module model) => new(
        [.. model.NamedModules().Where(pair => pair.Module is Linear { FrozenWeight: not null })
            .Select(pair => Layer(pair.Name, ((Linear)pair.Module).FrozenWeight!))],
        model.NamedParameters().Sum(entry => entry.Parameter.Value.ByteLength));

    private static FrozenLayer Layer(string name, FrozenWeight weight) =>
        new(name, [weight.Out, weight.In], weight.Storage, weight.Directions, weight.ByteLength, weight.Error);
}
