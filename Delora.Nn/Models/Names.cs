namespace Delora.Nn;

/// <summary>Names in messages.</summary>
internal static class Names
{
    /// <summary>The first names of a list that may be long; <c>nothing</c> for an empty one.</summary>
    internal static string List(IReadOnlyCollection<string> names) => names.Count switch
    {
        0 => "nothing",
        <= 8 => string.Join(", ", names),
        _ => $"{string.Join(", ", names.Take(8))} and {names.Count - 8} more",
    };

    /// <summary>What of three kinds there is: <c>missing a, b; not expected c; of another shape d</c>.</summary>
    internal static string Differences(IReadOnlyCollection<string> missing, IReadOnlyCollection<string> unexpected, IReadOnlyCollection<string> misshapen) =>
        string.Join("; ", new[] { ("missing", missing), ("not expected", unexpected), ("of another shape", misshapen) }
            .Where(kind => kind.Item2.Count > 0).Select(kind => $"{kind.Item1} {List(kind.Item2)}"));
}
