using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace Delora.Nn;

/// <summary>
/// Says which modules are meant, as PEFT's <c>target_modules</c> and <c>exclude_modules</c> do: a list of names, each compared with the
/// whole
/// module name or with its end after a dot; a regular expression in Python's syntax that must match the whole name; or every linear layer.
/// <code>
/// ModuleSelector list = ["q_proj", "v_proj"];
/// ModuleSelector pattern = @".*layers\.[02]\.mlp\..*";      // a single text is a pattern
/// ModuleSelector all = ModuleSelector.AllLinear;            // the same as the text "all-linear"
/// </code>
/// </summary>
[CollectionBuilder(typeof(ModuleSelector), nameof(Of))]
public sealed class ModuleSelector : IEquatable<ModuleSelector>
{
    private const string AllLinearText = "all-linear";

    private ModuleSelector(ImmutableArray<string> names, string? pattern)
    {
        Names = names;
        Pattern = pattern;
    }

    /// <summary>Every linear layer except the output layer.</summary>
    public static ModuleSelector AllLinear { get; } = new([], AllLinearText);

    /// <summary>The names of a list; empty for a pattern.</summary>
    public ImmutableArray<string> Names { get; }

    /// <summary>The regular expression, or <c>all-linear</c> as it was written; null for a list.</summary>
    public string? Pattern { get; }

    /// <summary>Whether this is the text <c>all-linear</c>, in any case of letters.</summary>
    public bool IsAllLinear => string.Equals(Pattern, AllLinearText, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether it names nothing: PEFT treats that as not given for exclusions and as an error for targets.</summary>
    public bool IsEmpty => Pattern is null ? Names.IsEmpty : Pattern.Length == 0;

    /// <summary>A list of module names or ends of names.</summary>
    public static ModuleSelector Of(params ReadOnlySpan<string> names) => new([.. names], null);

    /// <summary>A pattern, or <c>all-linear</c>.</summary>
    public static implicit operator ModuleSelector(string pattern) => new([], pattern);

    /// <summary>A list of module names or ends of names.</summary>
    public static implicit operator ModuleSelector(string[] names) => Of(names);

    /// <summary>Whether a module name is one of <paramref name="keys"/> or ends in a dot and one of them.</summary>
    internal static bool EndsInOneOf(string moduleName, ImmutableArray<string> keys)
    {
        foreach (string key in keys)
            if (EndsIn(moduleName, key)) return true;
        return false;
    }

    /// <summary>Whether a module name is the key or ends in a dot and the key.</summary>
    internal static bool EndsIn(string moduleName, string key) =>
        moduleName.EndsWith(key, StringComparison.Ordinal)
        && (moduleName.Length == key.Length || (moduleName.Length > key.Length && moduleName[^(key.Length + 1)] == '.'));

    /// <summary>Enumerates the names of a list.</summary>
    public ImmutableArray<string>.Enumerator GetEnumerator() => Names.GetEnumerator();

    /// <inheritdoc/>
    public bool Equals(ModuleSelector? other) => other is not null && Pattern == other.Pattern && Names.SequenceEqual(other.Names);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ModuleSelector);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Pattern, Names.Length, Names.FirstOrDefault());

    /// <summary>The pattern in quotes, or the list in brackets.</summary>
    public override string ToString() => Pattern is null ? $"[{string.Join(", ", Names)}]" : $"\"{Pattern}\"";
}
