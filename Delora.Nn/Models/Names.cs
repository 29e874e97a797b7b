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
}
