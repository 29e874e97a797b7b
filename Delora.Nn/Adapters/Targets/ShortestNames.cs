namespace Delora.Nn;

/// <summary>Long lists of targets, shortened to the ends of names that mean the same modules.</summary>
/// <remarks>Source of the rule: PEFT, <c>_find_minimal_target_modules</c> and <c>MIN_TARGET_MODULES_FOR_OPTIMIZATION</c>.</remarks>
internal static class ShortestNames
{
    /// <summary>Shorter lists stay as they are.</summary>
    private const int LeastCount = 20;

    /// <summary>
    /// For each name its shortest end after a dot that no other module of the model has, each once, in ordinal order; the list itself where it is short, or
    /// where that saves nothing.
    /// </summary>
    /// <param name="selector">A list of names or ends of names; anything else stays as it is.</param>
    /// <param name="modules">All modules of the model.</param>
    internal static ModuleSelector Of(ModuleSelector selector, IReadOnlyList<NamedModuleKind> modules)
    {
        // Each once, as in PEFT's sets.
        string[] names = [.. selector.Names.Distinct()];
        if (names.Length < LeastCount) return selector;
        HashSet<string> endsOfOthers =
            [.. modules.Where(module => !ModuleSelector.EndsInOneOf(module.Name, selector.Names)).SelectMany(module => Ends(module.Name))];
        SortedSet<string> chosen = new(StringComparer.Ordinal);
        foreach ((string name, string[] ends) in names.Select(name => (name, Ends(name))).Order(s_byEnds))
        {
            if (ends.FirstOrDefault(end => chosen.Contains(end) || !endsOfOthers.Contains(end)) is not { } shortest) continue;
            if (!chosen.Any(end => ModuleSelector.EndsIn(name, end))) chosen.Add(shortest);
        }
        return chosen.Count > 0 && chosen.Count < names.Length ? ModuleSelector.Of([.. chosen]) : selector;
    }

    /// <summary>A name's ends at its dots, from the last part to the whole.</summary>
    private static string[] Ends(string name)
    {
        string[] parts = name.Split('.');
        return [.. Enumerable.Range(1, parts.Length).Select(count => string.Join('.', parts[^count..]))];
    }

    /// <summary>Last parts first, then the ends of two parts, and so on: a name that is another's end comes before it.</summary>
    private static readonly Comparer<(string Name, string[] Ends)> s_byEnds = Comparer<(string Name, string[] Ends)>.Create((one, other) =>
    {
        foreach ((string a, string b) in one.Ends.Zip(other.Ends))
            if (string.CompareOrdinal(a, b) is var order and not 0) return order;
        return one.Ends.Length - other.Ends.Length;
    });
}
