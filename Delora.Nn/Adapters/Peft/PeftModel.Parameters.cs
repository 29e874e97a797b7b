using Delora.Autograd;

namespace Delora.Nn;

/// <summary>What the adapters hold.</summary>
public sealed partial class PeftModel
{
    /// <summary>What the optimizer trains: the parameters of the active adapters, with PEFT's full names in PEFT's order.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> TrainableParameters() => Read<IReadOnlyList<(string, Parameter)>>(() => [.. Trainable()]);

    private IEnumerable<(string Name, Parameter Parameter)> Trainable()
    {
        foreach ((string moduleName, Module module) in Base.NamedModules())
        {
            string prefix = moduleName.Length == 0 ? "base_model.model" : $"base_model.model.{moduleName}";
            SavedModule? saved = _savedModules.Values.FirstOrDefault(candidate => candidate.Name == moduleName && ActiveOf(candidate) is not null);
            if (saved is not null)
            {
                string adapter = ActiveOf(saved)!;
                foreach ((string name, Parameter parameter) in saved.Copies(adapter))
                    if (parameter.RequiresGradient) yield return ($"{prefix}.modules_to_save.{adapter}.{name}", parameter);
                continue;
            }
            if (IsSaved(moduleName, _savedModules.Keys)) continue;
            var layer = module as IAdaptedLayer;
            bool adapted = layer is not null && layer.Adapters.Names.Any();
            foreach ((string name, Parameter parameter) in module.OwnParameters())
                if (parameter.RequiresGradient) yield return ($"{prefix}.{(adapted ? "base_layer." : "")}{name}", parameter);
            if (!adapted) continue;
            foreach (string adapter in layer!.Adapters.Active)
                foreach ((string key, Parameter parameter) in layer.Adapters[adapter].Parameters.Where(entry => entry.Parameter.RequiresGradient))
                    yield return ($"{prefix}.{InMemoryKey(key, adapter)}", parameter);
        }
    }

    /// <summary>The name in memory: <c>delora_A.default</c>, and for LoRA <c>lora_A.default.weight</c>.</summary>
    private static string InMemoryKey(string key, string adapter) =>
        key.Split('.', 2) is [var head, var tail] ? $"{head}.{adapter}.{tail}" : $"{key}.{adapter}";

    private IEnumerable<(string Adapter, Parameter Parameter)> AllAdapterParameters()
    {
        foreach ((_, IAdaptedLayer layer) in Layers)
            foreach (string name in layer.Adapters.Names)
                foreach ((_, Parameter parameter) in layer.Adapters[name].Parameters)
                    yield return (name, parameter);
        foreach (SavedModule saved in _savedModules.Values)
            foreach (string name in saved.Adapters)
                foreach ((_, Parameter parameter) in saved.Copies(name))
                    yield return (name, parameter);
    }
}
