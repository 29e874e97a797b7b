using Delora.Core;

namespace Delora.Nn;

/// <summary>Names, and what is asked by name.</summary>
public sealed partial class LinearAdapters
{
    /// <summary>ΔW [out, in] of an adapter as a new tensor (PEFT's <c>get_delta_weight</c>), which the caller disposes.</summary>
    /// <exception cref="ArgumentException">The layer has no adapter of that name.</exception>
    public Tensor DeltaWeight(string name) =>
        _adapters.TryGetValue(name, out LinearAdapter? adapter)
            ? adapter.DeltaWeight()
            : throw new ArgumentException($"The layer has no adapter '{name}'; it has: {string.Join(", ", _adapters.Keys)}.", nameof(name));

    /// <summary>
    /// The column norms [in] of the weight as it is, with what is merged into it: what PEFT takes for a new adapter. A new tensor.
    /// </summary>
    internal Tensor CurrentColumnNorms()
    {
        if (_base is null) return BaseColumnNorms();
        using Tensor weight = _layer.CopyOwn("weight");
        return _layer.ColumnNorms(weight, "delora_w_norm");
    }

    /// <summary>Gives an adapter another name, in its place; nothing where the layer lacks it.</summary>
    internal void Rename(string from, string to)
    {
        if (!_adapters.ContainsKey(from)) return;
        KeyValuePair<string, LinearAdapter>[] all = [.. _adapters];
        _adapters.Clear();
        foreach ((string name, LinearAdapter adapter) in all) _adapters.Add(name == from ? to : name, adapter);
        _active = [.. _active.Select(name => name == from ? to : name)];
        Merged = [.. Merged.Select(name => name == from ? to : name)];
    }

    /// <summary>Makes the merged weight the base weight, for good: nothing is merged any more.</summary>
    internal void KeepMerged()
    {
        _base?.Dispose();
        _base = null;
        Merged = [];
    }
}
