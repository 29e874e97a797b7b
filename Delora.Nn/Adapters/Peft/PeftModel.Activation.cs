using Delora.Autograd;

namespace Delora.Nn;

/// <summary>Which adapters act, and for how long.</summary>
public sealed partial class PeftModel
{
    /// <summary>Chooses the adapters that act, in order; their branches add up. They alone are trained from now on.</summary>
    /// <exception cref="ArgumentException">
    /// There is no adapter of that name, one is named twice, or two train the same module as a whole: their copies of it can't both stand in
    /// its place.
    /// </exception>
    /// <exception cref="InvalidOperationException">Adapters are merged: others could not act before <see cref="Unmerge"/>.</exception>
    public void Activate(params string[] names)
    {
        using IDisposable? alone = WaitUntilAlone();
        foreach (string name in names)
            if (!_configs.ContainsKey(name))
                throw new ArgumentException($"There is no adapter '{name}'; there are: {string.Join(", ", _configs.Keys)}.", nameof(names));
        if (names.Distinct().Count() < names.Length)
            throw new ArgumentException($"An adapter is named twice: {string.Join(", ", names)}.", nameof(names));
        if (_savedModules.Values.FirstOrDefault(saved => names.Count(saved.Has) > 1) is { } both)
            throw new ArgumentException(
                $"{string.Join(", ", names.Where(both.Has))} each have a copy of '{both.Name}' (modules_to_save), and one alone can act.", nameof(names));
        RefuseWhileMerged();
        _active = [.. names];
        foreach ((_, IAdaptedLayer layer) in AdaptedLayers) layer.Adapters.Activate(names);
        ApplySavedModules();
        foreach ((string name, Parameter parameter) in AllAdapterParameters()) parameter.RequiresGradient = names.Contains(name);
        ApplyBiases();
    }

    /// <summary>
    /// Computes with the base model alone until the result is disposed (PEFT's <c>disable_adapter</c>); calls nest. Merged layers refuse to
    /// compute meanwhile. Biases that an adapter trained (<see cref="AdapterConfig.Bias"/>) are the base model's own and stay as they are.
    /// </summary>
    public IDisposable Disable()
    {
        using IDisposable? alone = WaitUntilAlone();
        if (++_disabled == 1) SetEnabled(false);
        return new Restore(() =>
        {
            using IDisposable? again = WaitUntilAlone();
            if (_disabled > 0 && --_disabled == 0) SetEnabled(true);
        });
    }

    /// <summary>Removes an adapter and frees it. Where it was the only active one, the base model is left: no other is activated.</summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    /// <exception cref="InvalidOperationException">It is merged.</exception>
    public void Delete(string name)
    {
        using IDisposable? alone = WaitUntilAlone();
        if (!_configs.TryGetValue(name, out AdapterConfig? config))
            throw new ArgumentException($"There is no adapter '{name}'.", nameof(name));
        if (AdaptedLayers.Any(pair => pair.Layer.Adapters.Merged.Contains(name)))
            throw new InvalidOperationException($"The adapter '{name}' is merged; unmerge it first.");
        _configs.Remove(name);
        foreach ((_, IAdaptedLayer layer) in AdaptedLayers.ToArray()) layer.Adapters.Delete(name);
        _active = [.. _active.Where(active => active != name)];
        ApplySavedModules();
        foreach (SavedModule saved in _savedModules.Values.ToArray())
        {
            saved.Delete(name);
            if (saved.IsUsed) continue;
            saved.Dispose();
            _savedModules.Remove(saved.Name);
        }
        if (config.Bias != AdapterBias.None) ApplyBiases();
    }

    private string? ActiveOf(SavedModule saved) => _disabled > 0 ? null : _active.LastOrDefault(saved.Has);

    private void SetEnabled(bool enabled)
    {
        // Every layer, also those whose adapters come or go meanwhile.
        foreach ((_, Module module) in Base.NamedModules())
            if (module is IAdaptedLayer layer) layer.Adapters.Enabled = enabled;
        ApplySavedModules();
    }

    private void ApplySavedModules()
    {
        foreach (SavedModule saved in _savedModules.Values) saved.Activate(ActiveOf(saved));
    }

    /// <summary>PEFT's <c>bias</c>: which biases of the base model train along with the active adapters.</summary>
    private void ApplyBiases()
    {
        foreach ((string name, Module module) in Base.NamedModules())
        {
            if (IsSaved(name, _savedModules.Keys)) continue;
            foreach ((string own, Parameter parameter) in module.OwnParameters())
                if (own.Contains("bias", StringComparison.Ordinal))
                    parameter.RequiresGradient = _active.Any(adapter => _configs[adapter].Bias switch
                    {
                        AdapterBias.All => true,
                        AdapterBias.AdapterOnly => module is IAdaptedLayer layer && layer.Adapters.Contains(adapter),
                        _ => false,
                    });
        }
    }
}
