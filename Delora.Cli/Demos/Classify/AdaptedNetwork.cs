using Delora.Autograd;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>A fresh copy of the base network, ready to be adapted by one method.</summary>
internal sealed class AdaptedNetwork : IDisposable
{
    private readonly Dictionary<string, float[]>? _baseWeights;

    /// <param name="basePath">The base network's file.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="method">How to adapt.</param>
    /// <param name="rank">Rank of the adapter.</param>
    /// <param name="generator">The adapter's initial values.</param>
    public AdaptedNetwork(string basePath, Device device, AdaptationSettings method, int rank, Generator generator)
    {
        Network = SummaryNetwork.Load(basePath, device);
        if (method.Method == AdaptationMethod.Full)
        {
            _baseWeights = Network.LinearLayers.ToDictionary(x => x.Name, x => WeightOf(x.Layer));
            Parameters = [.. Network.NamedParameters().Select(x => x.Parameter)];
            return;
        }

        Peft = new PeftModel(Network);
        Peft.AddAdapter(method.Config(rank, SummaryNetwork.AdaptedLayers), generator);
        Parameters = [.. Peft.TrainableParameters().Select(x => x.Parameter)];
    }

    public SummaryNetwork Network { get; }

    /// <summary>The adapter; null for full fine-tuning.</summary>
    public PeftModel? Peft { get; }

    /// <summary>What is trained.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Number of trained weights.</summary>
    public long TrainedSize => Parameters.Sum(x => x.Shape.ElementCount);

    /// <summary>How far each linear layer is from the base, in the order of the layers.</summary>
    public IReadOnlyList<LayerUpdate> Updates() => Peft is not null
        ? [.. Peft.BoundReport().Layers.Select(x => new LayerUpdate(x.Layer, x.Norm, x.Bound))]
        : [.. Network.LinearLayers.Select(x => new LayerUpdate(x.Name, Distance(WeightOf(x.Layer), _baseWeights![x.Name]), null))];

    public void Dispose()
    {
        Peft?.Dispose();
        Network.Dispose();
    }

    private static float[] WeightOf(Linear layer)
    {
        using Tensor copy = layer.CopyWeight();
        return copy.ToArray<float>();
    }

    private static double Distance(float[] a, float[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            double difference = (double)a[i] - b[i];
            sum += difference * difference;
        }

        return Math.Sqrt(sum);
    }
}
