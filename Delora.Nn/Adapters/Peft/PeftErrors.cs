using System.Collections.Frozen;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Which exceptions stand for PEFT's: Python has one <c>ValueError</c> where .NET tells a wrong argument from a wrong file. The table is written down
/// here and nowhere else; <c>docs/peft-compatibility.md</c> shows it.
/// </summary>
public static class PeftErrors
{
    private static readonly Type[] s_field = [typeof(DeloraFormatException)];

    /// <summary>
    /// PEFT's exception type by its Python name, and the types thrown here in its place. A Python type that is not listed is what its nearest
    /// listed base is: <c>JSONDecodeError</c> is a <c>ValueError</c>.
    /// </summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<Type>> Table { get; } = new Dictionary<string, IReadOnlyList<Type>>
    {
        // A value: an argument, a field of a configuration or a file, a call at the wrong time, numbers that are not finite, a place to write to.
        ["ValueError"] =
        [
            typeof(ArgumentException), typeof(ArgumentOutOfRangeException), typeof(DeloraFormatException), typeof(InvalidOperationException),
            typeof(NonFiniteException), typeof(DeloraException),
        ],
        ["NoMatchingPeftModuleError"] = s_field,
        // A value of the wrong type; what the compiler refuses has no exception.
        ["TypeError"] = [typeof(DeloraFormatException), typeof(ArgumentException), typeof(InvalidOperationException)],
        ["KeyError"] = [typeof(KeyNotFoundException), typeof(ArgumentException), typeof(DeloraFormatException)],
        ["NotImplementedError"] = s_field,
        // A field that is null where an object is wanted, and a method that PEFT's class does not have.
        ["AttributeError"] = [typeof(DeloraFormatException), typeof(NotSupportedException)],
        // Tensors whose shapes do not fit the model.
        ["RuntimeError"] = [typeof(DeloraFormatException), typeof(ShapeException)],
        // re.error: a regular expression that is none.
        ["error"] = s_field,
    }.ToFrozenDictionary();

    /// <summary>Whether an exception is one of those that stand for PEFT's.</summary>
    /// <param name="type">The Python type's name.</param>
    /// <param name="bases">Its base classes, nearest first.</param>
    /// <param name="exception">What was thrown.</param>
    public static bool Corresponds(string type, IEnumerable<string> bases, Exception exception) =>
        bases.Prepend(type).FirstOrDefault(Table.ContainsKey) is { } listed && Table[listed].Contains(exception.GetType());
}
