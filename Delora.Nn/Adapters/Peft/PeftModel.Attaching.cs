using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Adding an adapter: what a configuration comes to, and its branches on the layers.</summary>
public sealed partial class PeftModel
{
    /// <summary>Adds an adapter to every module that the configuration targets, and activates it alone.</summary>
    /// <param name="config">What to adapt, and how.</param>
    /// <param name="generator">Random numbers for the initial values, and later for dropout masks.</param>
    /// <param name="name">Its name.</param>
    /// <param name="warn">Hears of names in the configuration that match nothing, and of targets that PEFT would refuse.</param>
    /// <exception cref="ArgumentException">There is an adapter of that name, or a target is not a layer that can be adapted.</exception>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong, or it targets nothing.</exception>
    /// <exception cref="InvalidOperationException">Adapters are merged.</exception>
    public void AddAdapter(AdapterConfig config, Generator generator, string name = DefaultAdapter, Action<string>? warn = null)
    {
        using IDisposable? alone = WaitUntilAlone();
        config.Validate();
        AdapterPlan plan = Plan(name, config, warn);
        WarnBeyondPeft(plan, warn);
        Attach(plan, (_, layer, target) => NewAdapter(config, layer, target, generator));
        Activate(name);
    }

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
        var layers = new List<(IAdaptedLayer, AdapterTarget)>();
        TargetOptions options = ((Base as IAdaptable)?.Targets ?? new TargetOptions()) with
        {
            Warn = warn,
            Adaptable = [.. s_adaptable],
        };
        foreach (AdapterTarget target in TargetResolver.Resolve(config, kinds, options))
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
                    + $"{(partner is Embedding ? "the embedding" : "the output layer")}, which merging the adapter changes too.");
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
    private void Attach(AdapterPlan plan, Func<string, IAdaptedLayer, AdapterTarget, LinearAdapter> make)
    {
        // Only once: a second time would freeze the trainable copies of modules_to_save.
        if (_configs.Count == 0) Base.Freeze();
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
            Delete(plan.Name);
            throw;
        }
    }

    private static ModuleKind KindOf(Module module) => (module as IAdaptedLayer)?.Kind ?? ModuleKind.Other;

    private static LinearAdapter NewAdapter(AdapterConfig config, IAdaptedLayer layer, AdapterTarget target, Generator generator) => config switch
    {
        DeloraConfig delora => DeloraAdapter.Create(layer.Adapters.BaseColumnNorms(), layer.Out, target.Rank, target.Strength, generator,
            randomB: !delora.InitWeights, residual: delora.ResidualInitialization, dropout: (float)delora.ModuleDropout,
            onEmbedding: layer.Kind == ModuleKind.Embedding),
        LoraConfig lora => LoraAdapter.Create(layer.In, layer.Out, target.Rank, LoraAdapter.ScalingOf(lora, target), layer.Device, generator,
            randomB: !lora.InitWeights, dropout: (float)lora.LoraDropout, onEmbedding: layer.Kind == ModuleKind.Embedding),
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
