using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Adapters of any kind, added with weights, as one LoRA adapter: its configuration and the factors of each layer.</summary>
/// <param name="Config">The configuration; every layer has the scaling 1.</param>
/// <param name="Layers">The factors by the layers' full names.</param>
internal sealed record LoraConversion(LoraConfig Config, IReadOnlyDictionary<string, LowRankUpdate> Layers)
{
    /// <summary>One adapter that takes part.</summary>
    /// <param name="Name">What errors call it.</param>
    /// <param name="Weight">Its factor.</param>
    /// <param name="Config">Its configuration.</param>
    /// <param name="Layers">The adapters of its layers, by full names.</param>
    /// <param name="HasMore">Whether it trained biases or whole modules as well.</param>
    internal sealed record Term(
        string Name, double Weight, AdapterConfig Config, IReadOnlyCollection<KeyValuePair<string, LinearAdapter>> Layers, bool HasMore);

    /// <summary>Σ weight · ΔW of each layer, over the adapters that the layer has.</summary>
    /// <exception cref="ArgumentException">There is no term, or a weight is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The rank is larger than a side of a layer's weight, which is named.</exception>
    /// <exception cref="NotSupportedException">Adapters are added that trained biases or whole modules.</exception>
    /// <exception cref="ShapeException">They belong to models of different shapes.</exception>
    /// <exception cref="NonFiniteException">A factor or an update would be NaN or infinite; the adapter and its weight are named.</exception>
    internal static LoraConversion Of(IReadOnlyList<Term> terms, RankChoice rank)
    {
        if (terms.Count == 0) throw new ArgumentException("No adapter was named.", nameof(terms));
        if (terms.FirstOrDefault(term => !double.IsFinite(term.Weight)) is { } wrong)
            throw new ArgumentException($"The weight of '{wrong.Name}' must be finite, not {wrong.Weight}.", nameof(terms));
        bool alone = terms is [{ Weight: 1 }];
        // A trained bias or module replaces the base model's instead of adding to it.
        if (!alone && terms.FirstOrDefault(term => term.HasMore) is { } more)
            throw new NotSupportedException(
                $"'{more.Name}' has trained biases or whole modules (bias, modules_to_save), which take the place of the "
                + "base model's: they cannot be weighted or added.");
        Dictionary<string, LowRankUpdate> layers = [];
        foreach (string layer in terms.SelectMany(term => term.Layers.Select(pair => pair.Key)).Distinct())
        {
            try
            {
                (Term Term, LowRankUpdate Update)[] parts =
                    [.. from term in terms from pair in term.Layers where pair.Key == layer select (term, Weighted(term, pair.Value))];
                layers.Add(layer, Sum(parts).Compress(rank));
            }
            catch (ArgumentOutOfRangeException error)
            {
                throw new ArgumentOutOfRangeException($"Layer '{layer}': {error.Message}", error);
            }
            catch (ShapeException error)
            {
                throw new ShapeException($"layer '{layer}': {error.Message}");
            }
            catch (NonFiniteException error)
            {
                throw new NonFiniteException($"Layer '{layer}': {error.Message}");
            }
        }
        return new LoraConversion(ConfigOf(terms, layers, alone), layers);
    }

    private static LowRankUpdate Weighted(Term term, LinearAdapter adapter)
    {
        try
        {
            return LowRankUpdate.Sum((term.Weight, LowRankUpdate.Of(adapter)));
        }
        catch (NonFiniteException error)
        {
            throw new NonFiniteException($"{Describe(term)}: {error.Message}");
        }
    }

    private static LowRankUpdate Sum((Term Term, LowRankUpdate Update)[] parts)
    {
        try
        {
            return LowRankUpdate.Sum([.. parts.Select(part => (1.0, part.Update))]);
        }
        catch (NonFiniteException error)
        {
            throw new NonFiniteException($"{string.Join(" + ", parts.Select(part => Describe(part.Term)))}: {error.Message}");
        }
    }

    private static string Describe(Term term) => string.Create(CultureInfo.InvariantCulture, $"'{term.Name}' times {term.Weight}");

    private static LoraConfig ConfigOf(IReadOnlyList<Term> terms, Dictionary<string, LowRankUpdate> layers, bool alone)
    {
        AdapterConfig first = terms[0].Config;
        bool sameTargets = alone && first.TargetModules is not null;
        // Longest first: a key also matches names that end in it.
        string[] names = [.. layers.Keys.OrderByDescending(name => name.Length).ThenBy(name => name, StringComparer.Ordinal)];
        var config = new LoraConfig
        {
            TaskType = Common(terms, config => config.TaskType),
            BaseModelNameOrPath = Common(terms, config => config.BaseModelNameOrPath),
            Revision = Common(terms, config => config.Revision),
            InferenceMode = true,
            TargetModules = sameTargets ? first.TargetModules : ModuleSelector.Of([.. names.Order(StringComparer.Ordinal)]),
            ExcludeModules = sameTargets ? first.ExcludeModules : null,
            LayersToTransform = sameTargets ? first.LayersToTransform : null,
            LayersPattern = sameTargets ? first.LayersPattern : null,
            Bias = alone ? first.Bias : AdapterBias.None,
            ModulesToSave = alone ? first.ModulesToSave : null,
            // What most layers have, so that readers that know no patterns are right wherever all ranks are equal.
            R = layers.Values.GroupBy(update => update.Rank).MaxBy(group => group.Count())!.Key,
        };
        config = config with { LoraAlpha = config.R };
        LoraConfig result = WithPatterns(config, names.Where(name => layers[name].Rank != config.R), layers);
        return HasRanks(result, layers) ? result : WithPatterns(config, names, layers);
    }

    /// <summary>Rank and α of single layers, by their full names, as PEFT writes them.</summary>
    private static LoraConfig WithPatterns(LoraConfig config, IEnumerable<string> names, Dictionary<string, LowRankUpdate> layers)
    {
        ImmutableArray<KeyValuePair<string, int>> ranks = [.. names.Select(name => KeyValuePair.Create(Key(name), layers[name].Rank))];
        return config with { RankPattern = ranks, AlphaPattern = [.. ranks.Select(pair => KeyValuePair.Create(pair.Key, (double)pair.Value))] };
    }

    /// <summary>A name as a regular expression. Dots stay as they are, as PEFT writes them.</summary>
    private static string Key(string name) => Regex.Escape(name).Replace("\\.", ".", StringComparison.Ordinal);

    private static bool HasRanks(LoraConfig config, Dictionary<string, LowRankUpdate> layers) =>
        TargetResolver.Resolve(
                OfLayers(config, layers.Keys),
                [.. layers.Keys.Select(name => new NamedModuleKind(name, ModuleKind.Linear))])
            .All(target => target.Rank == layers[target.Name].Rank && target.Strength == target.Rank);

    /// <summary>A configuration of these layers, by their full names, and of nothing beside them.</summary>
    internal static LoraConfig OfLayers(LoraConfig config, IEnumerable<string> names) => config with
    {
        TargetModules = ModuleSelector.Of([.. names]),
        ExcludeModules = null,
        LayersToTransform = null,
        LayersPattern = null,
        ModulesToSave = null,
        Bias = AdapterBias.None,
        TaskType = null,
    };

    /// <summary>What all agree on; null where they do not.</summary>
    private static string? Common(IReadOnlyList<Term> terms, Func<AdapterConfig, string?> field) =>
        terms.Select(term => field(term.Config)).Distinct().ToArray() is [var one] ? one : null;
}
