using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>
/// The classifier: the mean of a text's feature vectors, two hidden layers, one score for each family.
/// <code>y = head(gelu(lin1(gelu(lin0(mean of embedding rows)))))</code>
/// </summary>
internal sealed class SummaryNetwork : Module
{
    private readonly EmbeddingBag _embedding;
    private readonly Linear _first, _second, _head;

    /// <summary>A network to be trained.</summary>
    public SummaryNetwork(ClassifySettings settings, Device device, Generator generator)
        : this(
            new EmbeddingBag(settings.Buckets, settings.EmbeddingDim, device, generator),
            new Linear(settings.EmbeddingDim, settings.HiddenDim, device, generator),
            new Linear(settings.HiddenDim, settings.HiddenDim, device, generator),
            new Linear(settings.HiddenDim, SummaryCorpus.Families.Count, device, generator))
    {
    }

    private SummaryNetwork(EmbeddingBag embedding, Linear first, Linear second, Linear head)
    {
        _embedding = Register("embedding", embedding);
        _first = Register("lin0", first);
        _second = Register("lin1", second);
        _head = Register("head", head);
    }

    /// <summary>The layers that adapters are attached to.</summary>
    public static ModuleSelector AdaptedLayers { get; } = ModuleSelector.Of("lin0", "lin1", "head");

    public Device Device => _embedding.Weight.Value.Device;

    /// <summary>Number of all weights.</summary>
    public long Size => NamedState().Sum(entry => entry.State.Shape.ElementCount);

    /// <summary>The linear layers with their names.</summary>
    public IEnumerable<(string Name, Linear Layer)> LinearLayers => [("lin0", _first), ("lin1", _second), ("head", _head)];

    /// <summary>Scores [rows, families] of texts.</summary>
    public Tensor Forward(BagData texts)
    {
        Tensor ids = Tensor.From(texts.Ids, [texts.Ids.Length], Device, "ids");
        Tensor offsets = Tensor.From(texts.Offsets, [texts.Offsets.Length], Device, "offsets");
        return _head.Forward(_second.Forward(_first.Forward(_embedding.Forward(ids, offsets), ActivationKind.Gelu), ActivationKind.Gelu));
    }

    /// <summary>Mean cross-entropy of texts, over all families.</summary>
    public Tensor Loss(BagData texts) => Forward(texts).CrossEntropy(Labels(texts));

    /// <summary>The labels of texts, on the network's device.</summary>
    public Tensor Labels(BagData texts) => Tensor.From(texts.Labels, [texts.Rows], Device, "labels");

    /// <summary>Writes all weights to a safetensors file.</summary>
    public void Save(string path)
    {
        using TensorScope scope = new("save network");
        SafetensorsFile.Write(path, NamedState().Select(entry => KeyValuePair.Create(entry.Name, entry.State.Read())));
    }

    /// <summary>The network that <see cref="Save"/> wrote.</summary>
    /// <exception cref="DeloraFormatException">The file is damaged or holds something else.</exception>
    public static SummaryNetwork Load(string path, Device device)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path, new SafetensorsOptions { Strict = true });
        using TensorScope scope = new("load network");
        // All are read before the first belongs to a layer: what a damaged file leaves behind is freed with the scope.
        IEnumerable<string> linear = AdaptedLayers.Names.SelectMany(x => (string[])[$"{x}.weight", $"{x}.bias"]);
        Dictionary<string, Tensor> tensors = linear.Append("embedding.weight")
            .ToDictionary(name => name, name => file.ReadFloat(name, device));
        Linear Layer(string name) => new(tensors[$"{name}.weight"], tensors[$"{name}.bias"]);
        return new SummaryNetwork(new EmbeddingBag(tensors["embedding.weight"]), Layer("lin0"), Layer("lin1"), Layer("head"));
    }
}
