namespace Delora.Nn;

/// <summary>Which adapters there are, at one moment.</summary>
public sealed partial class PeftModel
{
    /// <summary>The configuration of each adapter, by name.</summary>
    public IReadOnlyDictionary<string, AdapterConfig> Configs => Read(() => new Dictionary<string, AdapterConfig>(_configs));

    /// <summary>Names of the active adapters, in order.</summary>
    public IReadOnlyList<string> ActiveAdapters => _active;

    /// <summary>
    /// The configuration of the first active adapter (PEFT's <c>active_peft_config</c>).
    /// </summary>
    /// <exception cref="KeyNotFoundException">No adapter is active.</exception>
    public AdapterConfig ActiveConfig =>
        Read(() => _active.Length > 0 ? _configs[_active[0]] : throw new KeyNotFoundException("No adapter is active."));

    /// <summary>Names of the adapters that are merged into any layer, in the order of merging.</summary>
    public IReadOnlyList<string> MergedAdapters => Read<IReadOnlyList<string>>(() => [.. Merged]);

    /// <summary>Layers with adapters, linear ones and embeddings, by their full names.</summary>
    public IReadOnlyList<(string Name, IAdaptedLayer Layer)> AdaptedLayers => Read<IReadOnlyList<(string, IAdaptedLayer)>>(() => [.. Layers]);

    private IEnumerable<string> Merged => Layers.SelectMany(pair => pair.Layer.Adapters.Merged).Distinct();

    private IEnumerable<(string Name, IAdaptedLayer Layer)> Layers => Base.NamedModules()
        .Where(pair => pair.Module is IAdaptedLayer layer && layer.Adapters.Names.Any()).Select(pair => (pair.Name, (IAdaptedLayer)pair.Module));

    /// <summary>Reads beside the requests that compute, and not while adapters come or go.</summary>
    private T Read<T>(Func<T> read)
    {
        if (Base is not PretrainedModel model) return read();
        using (model.Look()) return read();
    }
}
