using Delora.Core;

namespace Delora.Nn;

/// <summary>What is checked before an adapter is added.</summary>
public sealed partial class PeftModel
{
    private void CheckName(string name, AdapterConfig config, Action<string>? warn)
    {
        // To PEFT a slash is a folder inside the folder; a path from the root would be written anywhere.
        bool isPath = Compatibility == PeftCompatibility.Strict ? Path.IsPathRooted(name) : name.AsSpan().IndexOfAny('/', '\\') >= 0;
        if (name.Length == 0 || name.Contains('.') || isPath)
            throw new ArgumentException($"'{name}' cannot name an adapter: it would become part of keys and paths.", nameof(name));
        string prefix = $"{config.PeftType.ToLowerInvariant()}_";
        if (prefix.Contains(name, StringComparison.Ordinal))
            warn?.Invoke($"The adapter's name '{name}' is a part of the prefix '{prefix}' of its keys: PEFT may not find its tensors when it loads them.");
    }

    /// <summary>Whether an adapter can stand beside those that there are.</summary>
    private void CheckCompany(AdapterConfig config)
    {
        bool isStrict = Compatibility == PeftCompatibility.Strict;
        if (isStrict && _configs.Values.FirstOrDefault(other => other.PeftType != config.PeftType) is { } other)
            throw new ArgumentException($"Adapters of two methods cannot be combined strictly: {other.PeftType} and {config.PeftType}.", nameof(config));
        // The biases are the base model's own. PEFT asks only whether there is another adapter.
        if (config.Bias != AdapterBias.None && (isStrict ? _configs.Count > 0 : _configs.Values.Any(present => present.Bias != AdapterBias.None)))
            throw config.Wrong("bias", $"only one adapter can train biases, and there are others: {string.Join(", ", _configs.Keys)}. Set it to none.");
    }

    private void CheckModulesToSave(
        AdapterConfig asked, AdapterConfig config, IReadOnlyList<string> saved, Dictionary<string, Module> modules, Action<string>? warn)
    {
        bool isStrict = Compatibility == PeftCompatibility.Strict;
        if (!isStrict && asked.ModulesToSave is { IsEmpty: false } wanted && saved.Count == 0)
            throw config.Wrong("modules_to_save",
                $"no module is called {string.Join(" or ", wanted)}; there are: {string.Join(", ", modules.Keys)}.");
        if (isStrict && saved.FirstOrDefault(module => modules[module] is ModuleList) is { } list)
            throw config.Wrong("modules_to_save", $"'{list}' is a list of modules, which PEFT does not save as a whole.");
        if (saved.FirstOrDefault(module => SavedModule.SharesWeights(modules[module])) is { } shared)
            warn?.Invoke($"{config.Source}: modules_to_save: '{shared}' shares its weight with another module (tied embeddings); the adapter's copy parts "
                + "them, and only the copy is trained.");
        if (Layers.FirstOrDefault(pair => IsSaved(pair.Name, saved)) is { Layer: not null } both)
            throw config.Wrong("modules_to_save", $"'{both.Name}' has an adapter: {string.Join(", ", both.Layer.Adapters.Names)}.");
        foreach (string module in saved.Where(module => !IsInside(module, saved)))
            if (_savedModules.Keys.FirstOrDefault(other => IsInside(other, [module]) || IsInside(module, [other])) is { } crossing)
                throw config.Wrong("modules_to_save", $"'{module}' and '{crossing}', which another adapter saves, lie inside each other.");
    }

    /// <summary>Whether a module lies inside one of others, and is none of them itself.</summary>
    private static bool IsInside(string module, IEnumerable<string> others) =>
        others.Any(other => module.StartsWith($"{other}.", StringComparison.Ordinal));
}
