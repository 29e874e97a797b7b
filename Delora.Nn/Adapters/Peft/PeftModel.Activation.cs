using Delora.Autograd;

namespace Delora.Nn;

/// <summary>Which adapters act, and for how long.</summary>
public sealed partial class PeftModel
{
    /// <summary>
    /// Chooses the adapters that act, in order; their branches add up. They alone are trained from now on, except for those that are in inference
    /// mode (<see cref="SetTrainable"/>); strictly those as well, as PEFT does.
    /// </summary>
    /// <exception cref="ArgumentException">
    /// There is no adapter of that name, one is named twice, or two train the same module as a whole: their copies of it can't both stand in
    /// its place.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// Adapters are merged: others could not act before <see cref="Unmerge"/>. The strict mode unmerges them.
    /// </exception>
    public void Activate(params string[] names)
    {
        ArgumentNullException.ThrowIfNull(names);
        using IDisposable? alone = WaitUntilAlone();
        foreach (string name in names) RequireAdapter(name, nameof(names));
        if (names.Distinct().Count() < names.Length)
            throw new ArgumentException($"An adapter is named twice: {string.Join(", ", names)}.", nameof(names));
        if (_savedModules.Values.FirstOrDefault(saved => names.Count(saved.Has) > 1) is { } both)
            throw new ArgumentException(
                $"{string.Join(", ", names.Where(both.Has))} each have a copy of '{both.Name}' (modules_to_save), and one alone can act.", nameof(names));
        if (Compatibility == PeftCompatibility.Strict && Merged.Any())
        {
            Warn?.Invoke("Adapter cannot be set when the model is merged. Unmerging the model first.");
            UnmergeAll();
        }
        RefuseWhileMerged();
        Activate(names, keepTraining: Compatibility == PeftCompatibility.Extended);
    }

    /// <summary>
    /// Says whether an adapter is trained while it is active: the configuration's <c>inference_mode</c>, the other way round. A file says
    /// that it is not, so an adapter that was loaded is trained only where it was asked for.
    /// </summary>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    public void SetTrainable(string name, bool trainable = true)
    {
        using IDisposable? alone = WaitUntilAlone();
        RequireAdapter(name, nameof(name));
        _configs[name] = _configs[name] with { InferenceMode = !trainable };
        if (trainable) _untrained.Remove(name);
        else _untrained.Add(name);
        ApplyTraining();
    }

    /// <summary>
    /// Computes with the base model alone until the result is disposed (PEFT's <c>disable_adapter</c>); calls nest. Merged layers refuse to
    /// compute meanwhile; the strict mode unmerges them for good, as PEFT does. Biases that an adapter trained (<see cref="AdapterConfig.Bias"/>)
    /// are the base model's own and stay as they are.
    /// </summary>
    public IDisposable Disable()
    {
        using IDisposable? alone = WaitUntilAlone();
        if (Compatibility == PeftCompatibility.Strict) UnmergeAll();
        if (_active.FirstOrDefault(name => _configs[name].Bias != AdapterBias.None) is { } biased)
            Warn?.Invoke($"The adapter '{biased}' trains biases, which are the base model's own: they go on acting while adapters are disabled.");
        if (++_disabled == 1) SetEnabled(false);
        return new Restore(() =>
        {
            using IDisposable? again = WaitUntilAlone();
            if (_disabled > 0 && --_disabled == 0) SetEnabled(true);
        });
    }

    /// <summary>
    /// Removes an adapter and frees it. Where it was the only active one the first of the others, by name, is activated, which
    /// <see cref="Warn"/> hears; where there is none the base model is left.
    /// </summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    /// <exception cref="InvalidOperationException">It is merged.</exception>
    public void Delete(string name)
    {
        using IDisposable? alone = WaitUntilAlone();
        RequireAdapter(name, nameof(name));
        if (Merged.Contains(name)) throw new InvalidOperationException($"The adapter '{name}' is merged; unmerge it first.");
        bool wasActive = _active.Contains(name);
        Remove(name);
        if (!wasActive || _active.Length > 0 || _configs.Count == 0 || Merged.Any()) return;
        string next = _configs.Keys.Order(StringComparer.Ordinal).First();
        Warn?.Invoke($"Adapter {name} was active which is now deleted. Setting active adapter to {next}.");
        Activate([next], keepTraining: Compatibility == PeftCompatibility.Extended);
    }

    /// <summary>Gives an adapter another name, in its place among the others; it goes on acting, or being merged.</summary>
    /// <exception cref="ArgumentException">There is none of that name, or the new name is taken or cannot name an adapter.</exception>
    public void Rename(string name, string newName)
    {
        using IDisposable? alone = WaitUntilAlone();
        RequireAdapter(name, nameof(name));
        ArgumentNullException.ThrowIfNull(newName);
        if (_configs.ContainsKey(newName)) throw new ArgumentException($"There is an adapter '{newName}' already.", nameof(newName));
        CheckName(newName, _configs[name], Warn);
        KeyValuePair<string, AdapterConfig>[] all = [.. _configs];
        _configs.Clear();
        foreach ((string key, AdapterConfig config) in all) _configs.Add(key == name ? newName : key, config);
        foreach ((_, IAdaptedLayer layer) in Layers) layer.Adapters.Rename(name, newName);
        foreach (SavedModule saved in _savedModules.Values) saved.Rename(name, newName);
        _active = [.. _active.Select(active => active == name ? newName : active)];
        if (_untrained.Remove(name)) _untrained.Add(newName);
        _takenOver.Remove(name);
    }

    private void RequireAdapter(string name, string parameter)
    {
        ArgumentNullException.ThrowIfNull(name, parameter);
        if (!_configs.ContainsKey(name))
            throw new ArgumentException($"There is no adapter '{name}'; there are: {string.Join(", ", _configs.Keys)}.", parameter);
    }

    /// <summary>Chooses the adapters that act.</summary>
    /// <param name="names">Adapters that there are, each once.</param>
    /// <param name="keepTraining">Whether those in inference mode stay untrained.</param>
    private void Activate(string[] names, bool keepTraining)
    {
        _active = [.. names];
        foreach ((_, IAdaptedLayer layer) in Layers) layer.Adapters.Activate(names);
        if (!keepTraining) _untrained.ExceptWith(names);
        ApplySavedModules();
        ApplyTraining();
    }

    /// <summary>Removes an adapter that is not merged; no other takes its place.</summary>
    private void Remove(string name)
    {
        _configs.Remove(name, out AdapterConfig? config);
        _untrained.Remove(name);
        _takenOver.Remove(name);
        foreach ((_, IAdaptedLayer layer) in Layers.ToArray()) layer.Adapters.Delete(name);
        _active = [.. _active.Where(active => active != name)];
        ApplySavedModules();
        foreach (SavedModule saved in _savedModules.Values.ToArray())
        {
            saved.Delete(name);
            if (saved.IsUsed) continue;
            saved.Dispose();
            _savedModules.Remove(saved.Name);
        }
        if (config?.Bias is not (null or AdapterBias.None)) ApplyBiases();
    }

    /// <summary>Which parameters get gradients: those of active adapters that are trained.</summary>
    private void ApplyTraining()
    {
        foreach ((string name, Parameter parameter) in AllAdapterParameters())
            parameter.RequiresGradient = _active.Contains(name) && !_untrained.Contains(name);
        ApplyBiases();
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
                    parameter.RequiresGradient = _active.Except(_untrained).Any(adapter => _configs[adapter].Bias switch
                    {
                        AdapterBias.All => true,
                        AdapterBias.AdapterOnly => module is IAdaptedLayer layer && layer.Adapters.Contains(adapter),
                        _ => false,
                    });
        }
    }
}
