using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>One adapted layer.</summary>
/// <param name="Name">Its name in the base model.</param>
/// <param name="In">Input features.</param>
/// <param name="Out">Output features.</param>
/// <param name="Rank">Rank of the adapter.</param>
/// <param name="Strength">DeLoRA's λ, LoRA's scaling, in words.</param>
/// <param name="Norm">‖ΔW‖_F.</param>
/// <param name="Bound">What it cannot exceed; null where the method sets no bound.</param>
internal sealed record AdapterLayer(string Name, int In, int Out, int Rank, string Strength, double Norm, double? Bound);

/// <summary>The tensors of an adapter folder, sorted by layers.</summary>
internal sealed class AdapterFile
{
    private AdapterFile(IReadOnlyList<AdapterLayer> layers, IReadOnlyList<SafetensorsEntry> others, long size) =>
        (Layers, Others, Size) = (layers, others, size);

    /// <summary>The adapted layers, in the order of their names.</summary>
    public IReadOnlyList<AdapterLayer> Layers { get; }

    /// <summary>Tensors that belong to no adapter: biases, and modules that are saved whole.</summary>
    public IReadOnlyList<SafetensorsEntry> Others { get; }

    /// <summary>Number of parameters: all but the column norms, which come from the base.</summary>
    public long Size { get; }

    /// <summary>Reads the adapters of a file.</summary>
    /// <exception cref="DeloraFormatException">A tensor is missing or does not go with the others or with the configuration.</exception>
    public static AdapterFile Read(AdapterConfig config, SafetensorsFile file, Device device)
    {
        string[] onLinear = Parts(config, onEmbedding: false), onEmbedding = Parts(config, onEmbedding: true);
        string[] parts = [.. onLinear.Union(onEmbedding)];
        SortedDictionary<string, HashSet<string>> found = new(StringComparer.Ordinal);
        List<SafetensorsEntry> others = [];
        long size = 0;
        foreach (SafetensorsEntry entry in file.Entries)
        {
            string? part = parts.FirstOrDefault(x => entry.Name.EndsWith($".{x}", StringComparison.Ordinal));
            // The base's own: its norms, and weights that PEFT saves along with an adapted output layer.
            if (part != "delora_w_norm" && !entry.Name.EndsWith(".base_layer.weight", StringComparison.Ordinal))
                size += entry.Shape.ElementCount;
            if (part is null)
            {
                others.Add(entry);
                continue;
            }

            string layer = entry.Name[..^(part.Length + 1)];
            if (!found.TryGetValue(layer, out HashSet<string>? there))
                found.Add(layer, there = []);
            there.Add(part);
        }

        if (found.Count == 0)
        {
            string ends = string.Join(" or ", parts.Select(x => $".{x}"));
            throw new DeloraFormatException(file.Path, null, $"holds no {config.PeftType} adapter: no tensor's name ends in {ends}");
        }

        foreach ((string layer, HashSet<string> there) in found)
        {
            string[] wanted = there.Any(x => !onLinear.Contains(x)) ? onEmbedding : onLinear;
            string[] missing = [.. wanted.Where(x => !there.Contains(x)).Select(x => $"{layer}.{x}")];
            if (missing.Length > 0)
                throw new DeloraFormatException(file.Path, null, $"missing: {string.Join(", ", missing)}");
        }

        Dictionary<string, AdapterTarget> targets = Targets(config, found.Keys);
        AdapterLayer[] layers = [.. found.Select(x => ReadLayer(config, file, x.Key, targets, device, x.Value.Any(part => !onLinear.Contains(part))))];
        return new AdapterFile(layers, [.. others.OrderBy(x => x.Name, StringComparer.Ordinal)], size);
    }

    /// <summary>How the file calls the tensors of one layer.</summary>
    private static string[] Parts(AdapterConfig config, bool onEmbedding) => config switch
    {
        DeloraConfig => DeloraAdapter.Keys(onEmbedding),
        LoraConfig => LoraAdapter.Keys(onEmbedding),
        _ => throw new DeloraFormatException(config.Source, "peft_type", $"{config.PeftType} adapters cannot be shown"),
    };

    /// <summary>
    /// Rank and strength of each layer as the configuration gives them; layers that it does not target are not among them.
    /// </summary>
    private static Dictionary<string, AdapterTarget> Targets(AdapterConfig config, IEnumerable<string> keys)
    {
        // Without the base model the layers of the file stand for all modules: what they are named after decides about patterns.
        NamedModuleKind[] modules = [.. keys.Select(key => new NamedModuleKind(AdapterListing.WithoutPrefix(key), ModuleKind.Linear))];
        TargetOptions options = new() { DefaultTargets = ModuleSelector.Of([.. modules.Select(x => x.Name)]) };
        return TargetResolver.Resolve(config, modules, options).ToDictionary(x => x.Name);
    }

    private static AdapterLayer ReadLayer(
        AdapterConfig config, SafetensorsFile file, string key, Dictionary<string, AdapterTarget> targets, Device device, bool onEmbedding)
    {
        string name = AdapterListing.WithoutPrefix(key);
        if (!targets.TryGetValue(name, out AdapterTarget? target))
            throw new DeloraFormatException(file.Path, name, "has an adapter, but the configuration does not target it");
        using TensorScope scope = new("inspect adapter");
        Tensor[] tensors = [.. Parts(config, onEmbedding).Select(part => file.ReadFloat($"{key}.{part}", device))];
        try
        {
            using LinearAdapter adapter = config is LoraConfig plain
                ? new LoraAdapter(tensors[0], tensors[1], LoraAdapter.ScalingOf(plain, target), onEmbedding: onEmbedding)
                : new DeloraAdapter(tensors[0], tensors[1], tensors[2], tensors[3], onEmbedding: onEmbedding);
            if (adapter.Rank != target.Rank)
            {
                throw new DeloraFormatException(
                    file.Path, name, $"has rank {adapter.Rank}; the configuration says {target.Rank}");
            }

            (int @in, int @out) = adapter switch
            {
                DeloraAdapter x => (x.A.Shape[1], x.B.Shape[0]),
                LoraAdapter x => (x.A.Shape[1], x.B.Shape[0]),
                _ => throw new InvalidOperationException(adapter.GetType().Name),
            };
            string strength = adapter switch
            {
                DeloraAdapter x => $"λ = {Printable.Number(x.Lambda.Value.ToScalar())}",
                LoraAdapter x => $"α/r = {Printable.Number(x.Scaling)}",
                _ => "",
            };
            return new AdapterLayer(name, @in, @out, adapter.Rank, strength, adapter.DeltaNorm(), adapter.NormBound());
        }
        catch (ShapeException error)
        {
            throw new DeloraFormatException(file.Path, name, error.Message, error);
        }
    }
}
