using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// A frozen base model with named adapters, in PEFT's terms: add, activate one or several, disable for a while, merge and unmerge, save and load
/// (<c>PeftModel.Files.cs</c>).
/// <code>
/// using var model = new PeftModel(network);
/// model.AddAdapter(new DeloraConfig { R = 8, TargetModules = ["lin0", "lin1"] }, new Generator(42));
/// // train model.TrainableParameters() …
/// model.Save("my-adapter");
/// </code>
/// </summary>
/// <remarks>
/// The adapters belong to this object; the base model stays the caller's and is frozen from the first adapter on. What changes adapters waits
/// for requests that a <see cref="CausalLanguageModel"/> computes at the moment; those that follow see the change.
/// </remarks>
public sealed partial class PeftModel : IDisposable
{
    /// <summary>The adapter name that PEFT uses where none is given.</summary>
    public const string DefaultAdapter = "default";

    private readonly Dictionary<string, AdapterConfig> _configs = [];
    private readonly Dictionary<string, SavedModule> _savedModules = [];
    private string[] _active = [];
    private int _disabled;

    /// <summary>Wraps a base model.</summary>
    public PeftModel(Module baseModel) => Base = baseModel;

    /// <summary>The base model.</summary>
    public Module Base { get; }

    /// <summary>The configuration of each adapter, by name.</summary>
    public IReadOnlyDictionary<string, AdapterConfig> Configs => _configs;

    /// <summary>Names of the active adapters, in order.</summary>
    public IReadOnlyList<string> ActiveAdapters => _active;

    /// <summary>Linear layers with adapters, by their full names.</summary>
    public IEnumerable<(string Name, Linear Layer)> AdaptedLayers =>
        Base.NamedModules().Where(pair => pair.Module is Linear linear && linear.Adapters.Names.Any()).Select(pair => (pair.Name, (Linear)pair.Module));

    /// <summary>Adds an adapter to every module that the configuration targets, and activates it alone.</summary>
    /// <param name="config">What to adapt, and how.</param>
    /// <param name="generator">Random numbers for the initial values, and later for dropout masks.</param>
    /// <param name="name">Its name.</param>
    /// <param name="warn">Hears of names in the configuration that match nothing.</param>
    /// <exception cref="ArgumentException">There is an adapter of that name, or a target is not a layer that can be adapted.</exception>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong, or it targets nothing.</exception>
    /// <exception cref="InvalidOperationException">Adapters are merged.</exception>
    public void AddAdapter(AdapterConfig config, Generator generator, string name = DefaultAdapter, Action<string>? warn = null)
    {
        using IDisposable? alone = WaitUntilAlone();
        config.Validate();
        Attach(Plan(name, config, warn), (_, layer, target) => NewAdapter(config, layer, target, generator));
        Activate(name);
    }

    /// <summary>Chooses the adapters that act, in order; their branches add up. They alone are trained from now on.</summary>
    /// <exception cref="ArgumentException">There is no adapter of that name, or one is named twice.</exception>
    /// <exception cref="InvalidOperationException">Adapters are merged: others could not act before <see cref="Unmerge"/>.</exception>
    public void Activate(params string[] names)
    {
        using IDisposable? alone = WaitUntilAlone();
        foreach (string name in names)
            if (!_configs.ContainsKey(name))
                throw new ArgumentException($"There is no adapter '{name}'; there are: {string.Join(", ", _configs.Keys)}.", nameof(names));
        if (names.Distinct().Count() < names.Length)
            throw new ArgumentException($"An adapter is named twice: {string.Join(", ", names)}.", nameof(names));
        RefuseWhileMerged();
        _active = [.. names];
        foreach ((_, Linear layer) in AdaptedLayers) layer.Adapters.Activate(names);
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
        foreach ((_, Linear layer) in AdaptedLayers.ToArray()) layer.Adapters.Delete(name);
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

    /// <inheritdoc cref="Merge(bool)"/>
    public void Merge() => Merge(dequantize: false);

    /// <summary>
    /// Adds ΔW of the active adapters to the base weights; the base weights are kept for <see cref="Unmerge"/>. Merged adapters cannot be
    /// trained, exchanged for others or deleted.
    /// </summary>
    /// <param name="dequantize">Keeps merged weights in float32, which alone can be merged into where the base is quantized.</param>
    /// <exception cref="InvalidOperationException">Adapters are merged already.</exception>
    /// <exception cref="QuantizedWeightException">A base weight is quantized; no weight was changed.</exception>
    /// <exception cref="NonFiniteException">A merged weight would hold NaN or infinity; no weight was changed.</exception>
    public void Merge(bool dequantize)
    {
        using IDisposable? alone = WaitUntilAlone();
        List<Linear> done = [];
        try
        {
            foreach ((_, Linear layer) in AdaptedLayers)
            {
                layer.Adapters.Merge(dequantize, _active);
                done.Add(layer);
            }
        }
        catch
        {
            foreach (Linear layer in done) layer.Adapters.Unmerge();
            throw;
        }
    }

    /// <summary>Restores the base weights, bit by bit.</summary>
    public void Unmerge()
    {
        using IDisposable? alone = WaitUntilAlone();
        foreach ((_, Linear layer) in AdaptedLayers) layer.Adapters.Unmerge();
    }

    /// <summary>What the optimizer trains: the parameters of the active adapters, with PEFT's full names in PEFT's order.</summary>
    public IEnumerable<(string Name, Parameter Parameter)> TrainableParameters()
    {
        foreach ((string moduleName, Module module) in Base.NamedModules())
        {
            string prefix = moduleName.Length == 0 ? "base_model.model" : $"base_model.model.{moduleName}";
            SavedModule? saved = _savedModules.Values.FirstOrDefault(candidate => candidate.Name == moduleName && ActiveOf(candidate) is not null);
            if (saved is not null)
            {
                string adapter = ActiveOf(saved)!;
                foreach ((string name, Parameter parameter) in saved.Copies(adapter)) yield return ($"{prefix}.modules_to_save.{adapter}.{name}", parameter);
                continue;
            }
            if (IsSaved(moduleName, _savedModules.Keys)) continue;
            var linear = module as Linear;
            bool adapted = linear is not null && linear.Adapters.Names.Any();
            foreach ((string name, Parameter parameter) in module.OwnParameters())
                if (parameter.RequiresGradient) yield return ($"{prefix}.{(adapted ? "base_layer." : "")}{name}", parameter);
            if (!adapted) continue;
            foreach (string adapter in linear!.Adapters.Active)
                foreach ((string key, Parameter parameter) in linear.Adapters[adapter].Parameters)
                    yield return ($"{prefix}.{InMemoryKey(key, adapter)}", parameter);
        }
    }

    /// <summary>‖ΔW‖_F of each adapted layer and adapter beside its bound (null where the method has none).</summary>
    public IEnumerable<(string Layer, string Adapter, double Norm, double? Bound)> DeltaNorms()
    {
        foreach ((string name, Linear layer) in AdaptedLayers)
            foreach (string adapter in layer.Adapters.Active)
                yield return (name, adapter, layer.Adapters[adapter].DeltaNorm(), layer.Adapters[adapter].NormBound());
    }

    /// <summary>
    /// Removes all adapters and restores the base model (merged adapters are unmerged, disabled layers enabled), except for biases that an
    /// adapter trained. The base model may have been disposed before.
    /// </summary>
    public void Dispose()
    {
        using IDisposable? alone = WaitUntilAlone();
        Unmerge();
        foreach (string name in _configs.Keys.ToArray()) Delete(name);
        if (_disabled == 0) return;
        _disabled = 0;
        SetEnabled(true);
    }

    private IDisposable? WaitUntilAlone() => (Base as CausalLanguageModel)?.WaitUntilAlone();

    /// <summary>The name in memory: <c>delora_A.default</c>, and for LoRA <c>lora_A.default.weight</c>.</summary>
    private static string InMemoryKey(string key, string adapter) =>
        key.Split('.', 2) is [var head, var tail] ? $"{head}.{adapter}.{tail}" : $"{key}.{adapter}";

    /// <summary>What a configuration comes to in this model. Everything is checked, nothing is changed.</summary>
    private AdapterPlan Plan(string name, AdapterConfig asked, Action<string>? warn)
    {
        AdapterConfig config = asked.WithTaskHeads();
        RefuseWhileMerged();
        if (_configs.ContainsKey(name)) throw new ArgumentException($"There is an adapter '{name}' already.", nameof(name));
        if (name.Length == 0 || name.Contains('.') || name.AsSpan().IndexOfAny('/', '\\') >= 0)
            throw new ArgumentException($"'{name}' cannot name an adapter: it would become part of keys and paths.", nameof(name));
        Dictionary<string, Module> modules = Base.NamedModules().Skip(1).ToDictionary(pair => pair.Name, pair => pair.Module);
        NamedModuleKind[] kinds = [.. modules.Select(pair => new NamedModuleKind(pair.Key, KindOf(pair.Value)))];
        var layers = new List<(Linear, AdapterTarget)>();
        TargetOptions options = ((Base as IAdaptable)?.Targets ?? new TargetOptions()) with { Warn = warn };
        foreach (AdapterTarget target in TargetResolver.Resolve(config, kinds, options))
        {
            Module module = modules[target.Name];
            if (module is not Linear layer)
                throw new ArgumentException($"The target '{target.Name}' is a {module.GetType().Name}; adapters exist for Linear.", nameof(asked));
            if (IsSaved(target.Name, _savedModules.Keys))
                throw config.Wrong("target_modules", $"'{target.Name}' is trained as a whole by the modules_to_save of another adapter.");
            if (layer.Adapters.Contains(name))
                throw new ArgumentException($"The layer '{target.Name}' has an adapter '{name}' of another model already.", nameof(name));
            layers.Add((layer, target));
        }
        IReadOnlyList<string> saved = TargetResolver.ResolveModulesToSave(config, kinds);
        if (asked.ModulesToSave is { IsEmpty: false } wanted && saved.Count == 0)
            throw config.Wrong("modules_to_save",
                $"no module is called {string.Join(" or ", wanted)}; there are: {string.Join(", ", modules.Keys)}.");
        if (saved.FirstOrDefault(module => SavedModule.SharesWeights(modules[module])) is { } shared)
            throw config.Wrong("modules_to_save", $"'{shared}' shares its weight with another module (tied embeddings); a copy would part them.");
        if (AdaptedLayers.FirstOrDefault(pair => IsSaved(pair.Name, saved)) is { Layer: not null } both)
            throw config.Wrong("modules_to_save", $"'{both.Name}' has an adapter: {string.Join(", ", both.Layer.Adapters.Names)}.");
        return new AdapterPlan(name, config, layers, [.. saved.Select(module => (module, modules[module]))]);
    }

    /// <summary>Makes the adapters of a plan, without activating them; all or none.</summary>
    private void Attach(AdapterPlan plan, Func<string, Linear, AdapterTarget, LinearAdapter> make)
    {
        // Only once: a second time would freeze the trainable copies of modules_to_save.
        if (_configs.Count == 0) Base.Freeze();
        // Owns what has been read or made when something later fails.
        using var scope = new TensorScope("add adapter");
        _configs.Add(plan.Name, plan.Config);
        try
        {
            foreach ((Linear layer, AdapterTarget target) in plan.Layers)
            {
                layer.Adapters.Add(plan.Name, make(target.Name, layer, target));
                layer.Adapters.Enabled = _disabled == 0;
            }
            foreach ((string name, Module module) in plan.Saved)
            {
                if (!_savedModules.TryGetValue(name, out SavedModule? saved))
                    _savedModules.Add(name, saved = new SavedModule(name, module));
                saved.AddCopy(plan.Name);
            }
        }
        catch
        {
            Delete(plan.Name);
            throw;
        }
    }

    private void RefuseWhileMerged()
    {
        if (AdaptedLayers.FirstOrDefault(pair => pair.Layer.Adapters.Merged.Count > 0) is { Layer: not null } merged)
            throw new InvalidOperationException(
                $"{string.Join(", ", merged.Layer.Adapters.Merged)} is merged into '{merged.Name}'; unmerge first.");
    }

    private static ModuleKind KindOf(Module module) => module switch
    {
        Linear => ModuleKind.Linear,
        Embedding => ModuleKind.Embedding,
        _ => ModuleKind.Other,
    };

    private static LinearAdapter NewAdapter(AdapterConfig config, Linear layer, AdapterTarget target, Generator generator) => config switch
    {
        DeloraConfig delora => DeloraAdapter.Create(layer.Adapters.BaseColumnNorms(), layer.Out, target.Rank, target.Strength, generator,
            randomB: !delora.InitWeights, residual: delora.ResidualInitialization, dropout: (float)delora.ModuleDropout),
        LoraConfig lora => LoraAdapter.Create(layer.In, layer.Out, target.Rank, LoraAdapter.ScalingOf(lora, target), layer.Device, generator,
            randomB: !lora.InitWeights, dropout: (float)lora.LoraDropout),
        _ => throw new ArgumentException($"{config.GetType().Name} describes an adapter that is not supported; DeloraConfig and LoraConfig are.", nameof(config)),
    };

    private string? ActiveOf(SavedModule saved) => _disabled > 0 ? null : _active.LastOrDefault(saved.Has);

    /// <summary>Whether a module is one of those that are saved as a whole, or lies inside one.</summary>
    private static bool IsSaved(string moduleName, IEnumerable<string> saved) =>
        saved.Any(name => moduleName == name || moduleName.StartsWith($"{name}.", StringComparison.Ordinal));

    private void SetEnabled(bool enabled)
    {
        // Every layer, also those whose adapters come or go meanwhile.
        foreach ((_, Module module) in Base.NamedModules())
            if (module is Linear linear) linear.Adapters.Enabled = enabled;
        ApplySavedModules();
    }

    private void ApplySavedModules()
    {
        foreach (SavedModule saved in _savedModules.Values) saved.Activate(ActiveOf(saved));
    }

    private IEnumerable<(string Adapter, Parameter Parameter)> AllAdapterParameters()
    {
        foreach ((_, Linear layer) in AdaptedLayers)
            foreach (string name in layer.Adapters.Names)
                foreach ((_, Parameter parameter) in layer.Adapters[name].Parameters)
                    yield return (name, parameter);
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
                        AdapterBias.AdapterOnly => module is Linear linear && linear.Adapters.Contains(adapter),
                        _ => false,
                    });
        }
    }

    /// <summary>What adding an adapter will change.</summary>
    /// <param name="Name">The adapter.</param>
    /// <param name="Config">Its configuration.</param>
    /// <param name="Layers">The layers that get a branch.</param>
    /// <param name="Saved">The modules that get a trainable copy.</param>
    private sealed record AdapterPlan(
        string Name, AdapterConfig Config, IReadOnlyList<(Linear Layer, AdapterTarget Target)> Layers,
        IReadOnlyList<(string Name, Module Module)> Saved);

    private sealed class Restore(Action action) : IDisposable
    {
        private Action? _action = action;

        public void Dispose() => Interlocked.Exchange(ref _action, null)?.Invoke();
    }
}
