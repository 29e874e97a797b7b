namespace Delora.Cli;

/// <summary>Parts of a documentation id such as <c>M:System.Collections.Generic.List`1.Add(`0)</c>.</summary>
internal static class MemberId
{
    /// <summary>The dotted name without kind and parameters: <c>System.Collections.Generic.List`1.Add</c>.</summary>
    public static string FullName(string id)
    {
        ReadOnlySpan<char> name = id;
        if (name.Length > 1 && name[1] == ':')
            name = name[2..];
        int end = name.IndexOfAny('(', '~');
        return (end < 0 ? name : name[..end]).ToString();
    }

    /// <summary>
    /// The last name as a word, without generic arity: <c>List</c> for <c>T:System.Collections.Generic.List`1</c>, <c>ctor</c> for a
    /// constructor, <c>Add</c> for an explicit <c>System#Collections#IList#Add</c>.
    /// </summary>
    public static string LastName(string id)
    {
        string name = FullName(id);
        int start = name.AsSpan().LastIndexOfAny('.', '#') + 1;
        int arity = name.AsSpan(start).IndexOf('`');
        return arity < 0 ? name[start..] : name.Substring(start, arity);
    }

    /// <summary>
    /// Namespace and outermost type of a full name, by the shortest prefix that is a known type:
    /// <c>(System.Collections.Generic, System.Collections.Generic.List`1)</c>; null where no prefix is.
    /// </summary>
    public static (string Namespace, string Type)? Split(string fullName, IReadOnlySet<string> types)
    {
        for (int dot = fullName.IndexOf('.', StringComparison.Ordinal); ; dot = fullName.IndexOf('.', dot + 1))
        {
            string prefix = dot < 0 ? fullName : fullName[..dot];
            if (types.Contains(prefix))
                return (prefix[..Math.Max(0, prefix.LastIndexOf('.'))], prefix);
            if (dot < 0)
                return null;
        }
    }

    /// <summary>Whether a namespace is another, or lies in it.</summary>
    public static bool IsWithin(string name, string outer) =>
        name.StartsWith(outer, StringComparison.Ordinal) && (name.Length == outer.Length || name[outer.Length] == '.');
}
