using System.Text;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// An adapter as its folder holds it, without the base model: what can be looked at, converted and added to others by itself. DeLoRA's column
/// norms are in the file, so that every ΔW can be computed from it.
/// </summary>
public sealed class AdapterFolder : IDisposable
{
    private readonly SafetensorsFile _file;
    private readonly List<KeyValuePair<string, LinearAdapter>> _layers = [];
    private readonly List<SafetensorsEntry> _others = [];

    private AdapterFolder(string folder, AdapterConfig config, SafetensorsFile file) => (Folder, Config, _file) = (folder, config, file);

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>What its <c>adapter_config.json</c> says.</summary>
    public AdapterConfig Config { get; }

    /// <summary>The adapters of its layers by the layers' full names in the base model, sorted by name.</summary>
    public IReadOnlyList<KeyValuePair<string, LinearAdapter>> Layers => _layers;

    /// <summary>
    /// The tensors that belong to no low-rank branch: biases, modules that are saved whole, and base weights that PEFT saves along with an adapted
    /// output layer.
    /// </summary>
    public IReadOnlyList<SafetensorsEntry> Others => _others;

    /// <summary>Every tensor of the file.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries => _file.Entries;

    /// <summary>Number of parameters: all but what is the base model's, DeLoRA's column norms and base weights that are saved along.</summary>
    public long ParameterCount =>
        Entries.Where(entry => !entry.Name.EndsWith(".delora_w_norm", StringComparison.Ordinal) && !IsBaseWeight(entry)).Sum(entry => entry.Shape.ElementCount);

    /// <summary>Reads an adapter folder that PEFT or this library wrote.</summary>
    /// <param name="folder">The folder with <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</param>
    /// <param name="device">Where its tensors are computed with.</param>
    /// <param name="warn">Told what was ignored, and of NaN or infinity.</param>
    /// <param name="strict">Whether NaN or infinity is an error.</param>
    /// <exception cref="DeloraFormatException">
    /// A file is missing or damaged, a tensor does not go with the others or with the configuration, or the method is not supported.
    /// </exception>
    public static AdapterFolder Open(string folder, Device device, Action<string>? warn = null, bool strict = false)
    {
        AdapterConfig config = AdapterConfig.Load(Path.Combine(folder, AdapterConfig.FileName), warn);
        var options = new SafetensorsOptions { Strict = strict };
        var opened = new AdapterFolder(folder, config, PeftModel.OpenWeights(folder, warn is null ? options : options with { Warn = warn }));
        try
        {
            opened.ReadLayers(device);
            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>How far the adapter moves each layer, and how far it could.</summary>
    public BoundReport BoundReport() => new([.. _layers.Select(pair => LayerBound.Of(pair.Key, PeftModel.DefaultAdapter, pair.Value))]);

    /// <summary>
    /// Writes the adapter as a LoRA adapter, which computes the same function: <c>lora_A</c> = A∘w and <c>lora_B</c> = B∘s with α = r, no
    /// approximation; biases and modules that were saved whole go along. See <see cref="PeftModel.SaveAsLora"/>.
    /// </summary>
    /// <param name="output">Made where it does not exist.</param>
    /// <param name="rank">A smaller rank for every layer, or the share of its energy to keep; exact where nothing is given.</param>
    /// <exception cref="ArgumentOutOfRangeException">The rank is larger than a side of a layer's weight.</exception>
    /// <exception cref="NonFiniteException">The adapter holds NaN or infinity.</exception>
    /// <exception cref="DeloraException">The system refused to write.</exception>
    /// <returns>The configuration that was written.</returns>
    public LoraConfig SaveAsLora(string output, RankChoice rank = default) => Save(output, LoraConversion.Of([Term(1)], rank), this);

    /// <summary>
    /// Writes Σ weight · ΔW as one LoRA adapter, in each layer over the adapters that have it; DeLoRA and LoRA may be mixed, weights negative.
    /// See <see cref="PeftModel.AddWeightedAdapter"/>.
    /// </summary>
    /// <param name="output">Made where it does not exist.</param>
    /// <param name="terms">The adapters and their weights.</param>
    /// <param name="rank">Exact, with the sum of the ranks (PEFT's <c>cat</c>), where nothing is given; else PEFT's <c>svd</c>.</param>
    /// <exception cref="NotSupportedException">One has trained biases or whole modules, which cannot be added.</exception>
    /// <exception cref="ShapeException">They belong to models of different shapes.</exception>
    /// <inheritdoc cref="SaveAsLora"/>
    public static LoraConfig SaveSum(string output, IReadOnlyList<(AdapterFolder Adapter, double Weight)> terms, RankChoice rank = default) =>
        Save(output, LoraConversion.Of([.. terms.Select(term => term.Adapter.Term(term.Weight))], rank), terms is [(var alone, 1)] ? alone : null);

    /// <summary>Frees the tensors and closes the file.</summary>
    public void Dispose()
    {
        foreach ((_, LinearAdapter adapter) in _layers) adapter.Dispose();
        _layers.Clear();
        _file.Dispose();
    }

    /// <summary>Writes the two files of an adapter folder, tensors first. Each is replaced as a whole or not at all.</summary>
    internal static void Write(
        string folder, AdapterConfig config, IEnumerable<KeyValuePair<string, Tensor>> tensors, DType storeAs = DType.Float32,
        PeftCompatibility compatibility = PeftCompatibility.Extended)
    {
        // Before the first file is touched: it checks the fields.
        byte[] json = Encoding.UTF8.GetBytes(config.ToJson(compatibility));
        FolderFile.Make(folder);
        // Base weights that go along stay as they are: rounded, they would not be the model's own when they come back.
        KeyValuePair<string, Tensor>[] all = [.. tensors];
        IEnumerable<KeyValuePair<string, Tensor>> stored =
            StoredFloats.Of(all.Where(tensor => !IsBaseWeight(tensor.Key)), storeAs).Concat(all.Where(tensor => IsBaseWeight(tensor.Key)));
        SafetensorsFile.Write(Path.Combine(folder, PeftModel.WeightsFileName), stored, floatType: DType.Float32);
        AtomicFile.Write(Path.Combine(folder, AdapterConfig.FileName), stream => stream.Write(json));
    }

    /// <summary>The tensors of a LoRA adapter by PEFT's keys; they belong to the current scope.</summary>
    internal static IEnumerable<KeyValuePair<string, Tensor>> LoraTensors(LoraConversion lora, Device device) =>
        lora.Layers.SelectMany(layer => (KeyValuePair<string, Tensor>[])
        [
            new(KeyOf(layer, 0), Tensor.From(layer.Value.A, [layer.Value.Rank, layer.Value.In], device, "lora_A")),
            new(KeyOf(layer, 1), Tensor.From(layer.Value.B, [layer.Value.Out, layer.Value.Rank], device, "lora_B")),
        ]);

    private static string KeyOf(KeyValuePair<string, LowRankUpdate> layer, int factor) =>
        $"{PeftModel.KeyPrefix}{layer.Key}.{LoraAdapter.Keys(layer.Value.OnEmbedding)[factor]}";

    private static LoraConfig Save(string output, LoraConversion lora, AdapterFolder? alone)
    {
        using var scope = new TensorScope("save LoRA");
        Device device = Kernels.Devices.Cpu;
        Write(output, lora.Config, [.. LoraTensors(lora, device),
            .. alone is null ? [] : alone._others.Select(entry => KeyValuePair.Create(entry.Name, alone._file.Read(entry.Name, device)))]);
        return lora.Config;
    }

    private LoraConversion.Term Term(double weight) => new(Folder, weight, Config, _layers, HasMore: !_others.TrueForAll(IsBaseWeight));

    private static bool IsBaseWeight(SafetensorsEntry entry) => IsBaseWeight(entry.Name);

    private static bool IsBaseWeight(string key) => key.EndsWith(".base_layer.weight", StringComparison.Ordinal);

    private void ReadLayers(Device device)
    {
        string[] parts = [.. Parts(onEmbedding: false).Union(Parts(onEmbedding: true))];
        SortedDictionary<string, HashSet<string>> found = new(StringComparer.Ordinal);
        foreach (SafetensorsEntry entry in _file.Entries)
        {
            string? part = parts.FirstOrDefault(part => entry.Name.EndsWith($".{part}", StringComparison.Ordinal));
            if (part is null)
            {
                _others.Add(entry);
                continue;
            }
            string layer = entry.Name[..^(part.Length + 1)];
            if (!found.TryGetValue(layer, out HashSet<string>? there)) found.Add(layer, there = []);
            there.Add(part);
        }
        _others.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        if (found.Count == 0)
            throw Wrong(null, $"holds no {Config.PeftType} adapter: no tensor's name ends in {string.Join(" or ", parts.Select(part => $".{part}"))}");
        foreach ((string layer, HashSet<string> there) in found)
            if (Parts(IsEmbedding(there)).Where(part => !there.Contains(part)).Select(part => $"{layer}.{part}").ToArray() is { Length: > 0 } missing)
                throw Wrong(null, $"missing: {string.Join(", ", missing)}");
        foreach ((string layer, HashSet<string> there) in found)
            if (there.Except(Parts(IsEmbedding(there))).ToArray() is { Length: > 0 } extra)
                throw Wrong(null, $"{layer} has tensors of two kinds of layers: {string.Join(", ", extra)} beside {string.Join(", ", there.Except(extra))}");

        // Without the base model the layers of the file stand for all modules: what they are named after decides about patterns.
        string[] names = [.. found.Keys.Select(WithoutPrefix)];
        TargetOptions options = new() { DefaultTargets = ModuleSelector.Of(names) };
        Dictionary<string, AdapterTarget> targets = TargetResolver
            .Resolve(Config, [.. names.Select(name => new NamedModuleKind(name, ModuleKind.Linear))], options).ToDictionary(target => target.Name);
        foreach (((string key, HashSet<string> there), string name) in found.Zip(names))
        {
            AdapterTarget target = targets.GetValueOrDefault(name) ?? throw Wrong(name, "has an adapter, but the configuration does not target it");
            _layers.Add(new(name, ReadLayer(key, target, device, IsEmbedding(there))));
        }
    }

    /// <summary>How the file calls the tensors of one layer.</summary>
    private string[] Parts(bool onEmbedding) => Config is DeloraConfig ? DeloraAdapter.Keys(onEmbedding) : LoraAdapter.Keys(onEmbedding);

    private bool IsEmbedding(IEnumerable<string> parts) => parts.Any(part => !Parts(onEmbedding: false).Contains(part));

    private LinearAdapter ReadLayer(string key, AdapterTarget target, Device device, bool onEmbedding)
    {
        using TensorScope scope = new("read adapter");
        Tensor[] tensors = [.. Parts(onEmbedding).Select(part => _file.ReadFloat($"{key}.{part}", device))];
        try
        {
            LinearAdapter adapter = Config switch
            {
                DeloraConfig => new DeloraAdapter(tensors[0], tensors[1], tensors[2], tensors[3], onEmbedding: onEmbedding),
                LoraConfig lora => new LoraAdapter(tensors[0], tensors[1], LoraAdapter.ScalingOf(lora, target), onEmbedding: onEmbedding),
                _ => throw Config.Wrong("peft_type", $"{Config.PeftType} adapters are not supported; DELORA and LORA are."),
            };
            if (adapter.Rank == target.Rank) return adapter;
            int rank = adapter.Rank;
            adapter.Dispose();
            throw Wrong(target.Name, $"has rank {rank}; the configuration says {target.Rank}");
        }
        catch (ShapeException error)
        {
            throw new DeloraFormatException(_file.Path, target.Name, error.Message, error);
        }
    }

    /// <summary>A layer's name without what PEFT puts before it.</summary>
    private static string WithoutPrefix(string key) =>
        key.StartsWith(PeftModel.KeyPrefix, StringComparison.Ordinal) ? key[PeftModel.KeyPrefix.Length..] : key;

    private DeloraFormatException Wrong(string? field, string reason) => new(_file.Path, field, reason);
}
