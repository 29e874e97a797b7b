using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Adding an adapter: what a configuration comes to, and its branches on the layers.</summary>
public sealed partial class PeftModel
{
    /// <summary>
    /// Adds an adapter to every module that the configuration targets, and activates it alone; strictly only where none is active yet, as PEFT does.
    /// While others are merged it is added without being activated, which <paramref name="warn"/> hears: its w is that of the base weight
    /// (PEFT takes the merged weight's, and unmerges; so does the strict mode).
    /// </summary>
    /// <param name="config">What to adapt, and how. With <see cref="AdapterConfig.InferenceMode"/> it is not trained.</param>
    /// <param name="generator">Random numbers for the initial values, and later for dropout masks.</param>
    /// <param name="name">Its name.</param>
    /// <param name="warn">
    /// Hears of names in the configuration that match nothing, and of targets that PEFT would refuse; <see cref="Warn"/> where nothing is given.
    /// </param>
    /// <exception cref="ArgumentException">There is an adapter of that name, or a target is not a layer that can be adapted.</exception>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong, or it targets nothing.</exception>
    /// <exception cref="InvalidOperationException">The base model has adapters of another <see cref="PeftModel"/>.</exception>
    public void AddAdapter(AdapterConfig config, Generator generator, string name = DefaultAdapter, Action<string>? warn = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(generator);
        ArgumentNullException.ThrowIfNull(name);
        using IDisposable? alone = WaitUntilAlone();
        warn ??= Warn;
        config.Validate(Compatibility);
        // PEFT makes the tensors of a model that is wrapped again anew, under the same name.
        if (_takenOver.Contains(name))
        {
            if (Merged.Contains(name)) throw new InvalidOperationException($"The adapter '{name}' is merged; unmerge it first.");
            _takenOver.Remove(name);
            Remove(name);
        }
        AdapterPlan plan = Plan(name, config, warn);
        WarnBeyondPeft(plan, warn);
        Attach(plan, (_, layer, target) => NewAdapter(config, layer, target, generator));
        ActivateNew(plan, warn);
    }

    /// <summary>What a configuration comes to in this model. Everything is checked, nothing is changed.</summary>
    private AdapterPlan Plan(string name, AdapterConfig asked, Action<string>? warn)
    {
        RefuseOtherOwner();
        if (_configs.ContainsKey(name)) throw new ArgumentException($"There is an adapter '{name}' already.", nameof(name));
        CheckName(name, asked, warn);
        CheckCompany(asked);
        Dictionary<string, Module> modules = Base.NamedModules().Skip(1).ToDictionary(pair => pair.Name, pair => pair.Module);
        NamedModuleKind[] kinds = [.. modules.Select(pair => new NamedModuleKind(pair.Key, KindOf(pair.Value)))];
        TargetOptions options = (Base as IAdaptable)?.Targets ?? new TargetOptions();
        options = options with
        {
            ModelType = options.ModelType ?? (Base as PretrainedModel)?.Config.ModelType,
            Compatibility = Compatibility,
            Adaptable = [.. s_adaptable],
            Warn = warn,
        };
        (AdapterConfig config, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<string> saved) = TargetResolver.ResolveAll(asked, kinds, options);
        var layers = new List<(IAdaptedLayer, AdapterTarget)>();
        foreach (AdapterTarget target in targets)
        {
            Module module = modules[target.Name];
            if (module is not IAdaptedLayer layer)
                throw new ArgumentException($"The target '{target.Name}' is a {module.GetType().Name}; adapters exist for linear layers and embeddings.", nameof(asked));
            if (IsSaved(target.Name, _savedModules.Keys))
                throw config.Wrong("target_modules", $"'{target.Name}' is trained as a whole by the modules_to_save of another adapter.");
            if (layer.Adapters.Contains(name))
                throw new ArgumentException($"The layer '{target.Name}' has an adapter '{name}' of another model already.", nameof(name));
            if (layer.Partner is { } partner)
                warn?.Invoke($"{config.Source}: target_modules: '{target.Name}' shares its weight with "
                    + (partner is Embedding ? "the embedding" : "the output layer")
                    + (Compatibility == PeftCompatibility.Strict
                        ? ", which merging the adapter changes too."
                        : " (tied embeddings): a model into which the adapter is merged for good has both, and is saved as untied."));
            layer.Adapters.RequireSize(config, target);
            layers.Add((layer, target));
        }
        CheckModulesToSave(asked, config, saved, modules, warn);
        return new AdapterPlan(name, config, layers, [.. saved.Where(module => !IsInside(module, saved)).Select(module => (module, modules[module]))]);
    }

    /// <summary>Makes the adapters of a plan, without activating them; all or none.</summary>
    private void Attach(AdapterPlan plan, Func<string, IAdaptedLayer, AdapterTarget, LinearAdapter> make)
    {
        // Only once: a second time would freeze the trainable copies of modules_to_save.
        if (_configs.Count == 0) Base.Freeze();
        Own();
        // Owns what has been read or made when something later fails.
        using var scope = new TensorScope("add adapter");
        _configs.Add(plan.Name, plan.Config);
        try
        {
            foreach ((IAdaptedLayer layer, AdapterTarget target) in plan.Layers)
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
            Remove(plan.Name);
            throw;
        }
    }

    /// <summary>What follows when an adapter has been attached: whether it acts, and whether it is trained.</summary>
    private void ActivateNew(AdapterPlan plan, Action<string>? warn)
    {
        if (plan.Config.InferenceMode) _untrained.Add(plan.Name);
        string[] merged = [.. Merged];
        if (Compatibility == PeftCompatibility.Strict)
        {
            if (merged.Length > 0)
            {
                warn?.Invoke("Adapter cannot be set when the model is merged. Unmerging the model first.");
                UnmergeAll();
            }
            Activate(_active.Length == 0 ? [plan.Name] : _active, keepTraining: true);
            return;
        }
        if (merged.Length == 0)
        {
            Activate([plan.Name], keepTraining: true);
            return;
        }
        warn?.Invoke($"The adapter '{plan.Name}' does not act yet: {string.Join(", ", merged)} is merged. Unmerge, then activate it.");
        ApplyTraining();
    }

    private static ModuleKind KindOf(Module module) => (module as IAdaptedLayer)?.Kind ?? ModuleKind.Other;

    private LinearAdapter NewAdapter(AdapterConfig config, IAdaptedLayer layer, AdapterTarget target, Generator generator) => config switch
    {
        DeloraConfig delora => DeloraAdapter.Create(
            Compatibility == PeftCompatibility.Strict ? layer.Adapters.CurrentColumnNorms() : layer.Adapters.BaseColumnNorms(),
            layer.Out, target.Rank, target.Strength, generator,
            randomB: !delora.InitWeights, residual: delora.ResidualInitialization, dropout: (float)delora.EffectiveDropout,
            onEmbedding: layer.Kind == ModuleKind.Embedding),
        LoraConfig lora => LoraAdapter.Create(layer.In, layer.Out, target.Rank, LoraAdapter.ScalingOf(lora, target), layer.Device, generator,
            randomB: !lora.InitWeights, dropout: (float)lora.EffectiveDropout, onEmbedding: layer.Kind == ModuleKind.Embedding),
        _ => throw new ArgumentException($"{config.GetType().Name} describes an adapter that is not supported; DeloraConfig and LoraConfig are.", nameof(config)),
    };

    /// <summary>What adding an adapter will change.</summary>
    /// <param name="Name">The adapter.</param>
    /// <param name="Config">Its configuration.</param>
    /// <param name="Layers">The layers that get a branch.</param>
    /// <param name="Saved">The modules that get a trainable copy.</param>
    private sealed record AdapterPlan(
        string Name, AdapterConfig Config, IReadOnlyList<(IAdaptedLayer Layer, AdapterTarget Target)> Layers,
        IReadOnlyList<(string Name, Module Module)> Saved);
}
