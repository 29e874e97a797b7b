using System.Collections.Immutable;
using System.Globalization;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Finds the modules that a configuration adapts, with the rank and the strength of each.</summary>
/// <remarks>
/// Source of the rules: PEFT, <c>check_target_module_exists</c>, <c>_maybe_include_all_linear_layers</c>, <c>get_pattern_key</c>. Lists
/// are compared by equality
/// or by the end after a dot and never compiled; a text is a Python regular expression for the whole name.
/// </remarks>
public static class TargetResolver
{
    /// <summary>
    /// What a configuration comes to: the modules that get an adapter, and those that are trained as a whole, the heads of its task included
    /// (<see cref="AdapterConfig.WithTaskHeads"/>). The configuration that results has a list of names where the family's default or <c>all-linear</c> was
    /// asked for, the one that PEFT writes, so that it means the same modules wherever it is read.
    /// </summary>
    /// <param name="config">The configuration.</param>
    /// <param name="modules">All modules of the model, in its order.</param>
    /// <param name="options">What else is known of the model.</param>
    /// <exception cref="DeloraFormatException">As <see cref="Resolve"/>; strictly also where a module would get both, which is where PEFT stops.</exception>
    public static ResolvedTargets ResolveAll(AdapterConfig config, IReadOnlyList<NamedModuleKind> modules, TargetOptions? options = null)
    {
        options ??= new TargetOptions();
        AdapterConfig withHeads = config.WithTaskHeads();
        bool isStrict = options.Compatibility == PeftCompatibility.Strict;
        // PEFT adds these heads only after it has chosen the targets, those of SEQ_CLS before.
        AdapterConfig choosing = isStrict && config.TaskType is "TOKEN_CLS" or "QUESTION_ANS" ? config : withHeads;
        ModuleSelector selector = Selector(choosing, modules, options);
        IReadOnlyList<AdapterTarget> targets = Select(choosing, selector, modules, options);
        IReadOnlyList<string> saved = ResolveModulesToSave(withHeads, modules, options.Compatibility);
        if (isStrict && targets.FirstOrDefault(target => saved.Contains(target.Name)) is { } both)
            throw config.Wrong("modules_to_save", $"'{both.Name}' is a target as well: it cannot be trained as a whole and get an adapter.");
        return new ResolvedTargets(withHeads with { TargetModules = selector }, targets, saved);
    }

    /// <summary>The modules that get an adapter, in the order of <paramref name="modules"/>.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="modules">All modules of the model, in its order.</param>
    /// <param name="options">What else is known of the model.</param>
    /// <exception cref="DeloraFormatException">The configuration is wrong, matches nothing (the nearest names are shown), or matches a
    /// module
    /// that cannot have an adapter.</exception>
    public static IReadOnlyList<AdapterTarget> Resolve(AdapterConfig config, IReadOnlyList<NamedModuleKind> modules,
        TargetOptions? options = null)
    {
        options ??= new TargetOptions();
        return Select(config, Selector(config, modules, options), modules, options);
    }

    /// <summary>What is matched with the names of modules: a list, or a regular expression.</summary>
    private static ModuleSelector Selector(AdapterConfig config, IReadOnlyList<NamedModuleKind> modules, TargetOptions options)
    {
        config.Validate(options.Compatibility);
        ModuleSelector selector = config.TargetModules ?? options.DefaultTargets
            ?? throw config.Wrong("target_modules", "must be given: there is no default for this model.");
        if (selector.IsEmpty) throw config.Wrong("target_modules", "is empty.");
        return ShortestNames.Of(selector.IsAllLinear ? AllLinear(config, modules, options) : selector, modules);
    }

    private static List<AdapterTarget> Select(
        AdapterConfig config, ModuleSelector selector, IReadOnlyList<NamedModuleKind> modules, TargetOptions options)
    {
        var matcher = new TargetMatcher(config, selector);
        var ranks = new PatternTable<int>(config, "rank_pattern", config.RankPattern, config.R);
        var strengths = new PatternTable<double>(config, config.StrengthPatternField, config.StrengthPattern, config.Strength);
        var targets = new List<AdapterTarget>();
        int excluded = 0, listed = 0;
        foreach ((string name, ModuleKind kind) in modules)
        {
            if (name.Length == 0) continue;
            if (matcher.IsExcluded(name))
            {
                excluded++;
                if (matcher.IsSelected(name)) listed++;
                continue;
            }
            if (!matcher.IsSelected(name)) continue;
            ImmutableArray<ModuleKind> adaptable =
                options.Compatibility == PeftCompatibility.Strict && config is DeloraConfig ? [ModuleKind.Linear] : options.Adaptable;
            if (!adaptable.Contains(kind))
                throw config.Wrong("target_modules",
                    $"'{name}' is {Describe(kind)}: {config.PeftType} adapters sit on {string.Join(", ", adaptable)} modules only.");
            targets.Add(new AdapterTarget(name, kind, ranks.Of(name), strengths.Of(name)));
        }
        if (targets.Count == 0) throw NothingMatches(config, selector, modules, options, excluded, listed);
        WarnOfIdleNames(config, modules, options, excluded);
        return targets;
    }

    /// <summary>
    /// The modules that <c>modules_to_save</c> names, each by equality or by the end of its name after a dot, in the model's order.
    /// </summary>
    /// <param name="config">The configuration.</param>
    /// <param name="modules">All modules of the model, in its order.</param>
    /// <param name="compatibility">Strict compares ends without the dot, as PEFT does: <c>classifier</c> takes <c>pre_classifier</c> along.</param>
    public static IReadOnlyList<string> ResolveModulesToSave(
        AdapterConfig config, IReadOnlyList<NamedModuleKind> modules, PeftCompatibility compatibility = PeftCompatibility.Extended)
    {
        if (config.ModulesToSave is not { IsEmpty: false } saved) return [];
        bool IsNamed(string name) => compatibility == PeftCompatibility.Strict
            ? saved.Any(end => name.EndsWith(end, StringComparison.Ordinal))
            : ModuleSelector.EndsInOneOf(name, saved);
        return [.. modules.Where(module => module.Name.Length > 0 && IsNamed(module.Name)).Select(module => module.Name)];
    }

    private static ModuleSelector AllLinear(AdapterConfig config, IReadOnlyList<NamedModuleKind> modules, TargetOptions options)
    {
        string? head = options.OutputModule;
        if (head is null && config.TaskType == "SEQ_CLS")
            head = options.ClassificationHeads.FirstOrDefault(name => modules.Any(module => module.Name == name));
        return ModuleSelector.Of([.. modules.Where(m => m.Kind is ModuleKind.Linear or ModuleKind.Conv1D && m.Name != head)
            .Select(m => m.Name)]);
    }

    private static DeloraFormatException NothingMatches(AdapterConfig config, ModuleSelector selector,
        IReadOnlyList<NamedModuleKind> modules, TargetOptions options, int excluded, int listed)
    {
        if (listed > 0)
            return config.Wrong("target_modules", $"all {listed} modules that match are excluded by exclude_modules or modules_to_save.");
        if (excluded > 0 && excluded == modules.Count(module => module.Name.Length > 0))
            return config.Wrong("exclude_modules", "excludes every module of the model.");
        string layers = config.LayersToTransform is { IsEmpty: false } numbers ? $" in the layers {string.Join(", ", numbers)}" : "";
        string[] nearest =
            NearestNames.Find(selector, modules.Where(module => options.Adaptable.Contains(module.Kind)).Select(module => module.Name));
        string hint = nearest.Length == 0
            ? "; it has no module that could be adapted."
            : $"; the nearest names are {string.Join(", ", nearest)}.";
        string asked = config.TargetModules is null ? $"{selector} (the default of the model)" : config.TargetModules.ToString();
        return config.Wrong("target_modules", $"{asked} matches no module of the model{layers}{hint}");
    }

    /// <summary>Of the names as they were asked for: a long list was shortened before it was matched.</summary>
    private static void WarnOfIdleNames(AdapterConfig config, IReadOnlyList<NamedModuleKind> modules, TargetOptions options, int excluded)
    {
        if (options.Warn is null) return;
        if (config.TargetModules is { IsAllLinear: false } asked)
            foreach (string key in asked)
                if (!modules.Any(module => ModuleSelector.EndsIn(module.Name, key)))
                    options.Warn($"{config.Source}: target_modules: '{key}' matches no module.");
        if (config.ExcludeModules is { IsEmpty: false } && excluded == 0)
            options.Warn($"{config.Source}: exclude_modules: {config.ExcludeModules} excludes nothing.");
    }

    private static string Describe(ModuleKind kind) =>
        kind == ModuleKind.Other ? "no layer with a weight matrix" : $"a module of the kind {kind}";

    /// <summary>The values of a pattern field, with the default for modules that no key matches.</summary>
    private sealed class PatternTable<T>(AdapterConfig config, string field, ImmutableArray<KeyValuePair<string, T>> pattern, T otherwise)
    {
        private readonly (PythonRegex Key, T Value)[] _entries =
            [.. pattern.Select(p => (PythonRegex.MatchFromStart($@"(.*\.)?({p.Key})$", config.Source, $"{field}[\"{p.Key}\"]"), p.Value))];

        public T Of(string name)
        {
            foreach ((PythonRegex key, T value) in _entries)
                if (key.IsMatch(name)) return value;
            return otherwise;
        }
    }

    /// <summary>The patterns of a configuration, compiled once.</summary>
    private sealed class TargetMatcher
    {
        private readonly AdapterConfig _config;
        private readonly ModuleSelector _selector;
        private readonly ModuleSelector? _exclusion;
        private readonly PythonRegex? _selected, _excluded;
        private readonly PythonRegex[] _layers = [];

        public TargetMatcher(AdapterConfig config, ModuleSelector selector)
        {
            _config = config;
            _selector = selector;
            _exclusion = config.ExcludeModules is { IsEmpty: false } exclusion ? exclusion : null;
            if (selector.Pattern is not null) _selected = PythonRegex.FullMatch(selector.Pattern, config.Source, "target_modules");
            if (_exclusion?.Pattern is not null) _excluded = PythonRegex.FullMatch(_exclusion.Pattern, config.Source, "exclude_modules");
            if (config.LayersToTransform is not { IsEmpty: false }) return;
            // The first numbered part of the name, so that the number of an expert inside a layer is not taken for the layer's.
            IEnumerable<string> before = config.LayersPattern is { IsEmpty: false } patterns ? patterns : ["[^.]*"];
            _layers = [.. before.Select(part => PythonRegex.MatchFromStart($@".*?\.{part}\.(\d+)\.", config.Source, "layers_pattern"))];
        }

        public bool IsExcluded(string name)
        {
            if (_excluded is not null && _excluded.IsMatch(name)) return true;
            if (_excluded is null && _exclusion is not null && ModuleSelector.EndsInOneOf(name, _exclusion.Names)) return true;
            if (_config.ModulesToSave is not { } saved) return false;
            // A module that is trained as a whole takes no adapter, nor do the modules inside it.
            foreach (string key in saved)
                if (key.Length > 0 && $".{name}.".Contains($".{key}.", StringComparison.Ordinal)) return true;
            return false;
        }

        public bool IsSelected(string name)
        {
            if (_selected is not null) return _selected.IsMatch(name);
            if (_selector.Names.Contains(name)) return true;
            return ModuleSelector.EndsInOneOf(name, _selector.Names) && (_layers.Length == 0 || IsInLayers(name));
        }

        private bool IsInLayers(string name)
        {
            foreach (PythonRegex layer in _layers)
                if (layer.FirstGroup(name) is { } number)
                    return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int index)
                        && _config.LayersToTransform!.Value.Contains(index);
            return false;
        }
    }
}
