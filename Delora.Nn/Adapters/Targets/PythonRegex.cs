using System.Text.RegularExpressions;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// A regular expression in the syntax of Python's <c>re</c> for text: what is written differently in .NET is translated, what has no
/// equal is refused
/// with its position, and a match takes bounded time whatever the pattern: without backtracking where the pattern allows it, else with a
/// time-out.
/// Names are compared without regard to culture.
/// </summary>
internal sealed class PythonRegex
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromMilliseconds(100);

    private readonly Regex _regex;
    private readonly string _pattern;
    private readonly string _source;
    private readonly string _field;

    private PythonRegex(string pattern, string source, string field, bool fullMatch)
    {
        _pattern = pattern;
        _source = source;
        _field = field;
        PythonPattern translated;
        try
        {
            translated = PythonPattern.Translate(pattern);
        }
        catch (PythonPatternException error)
        {
            throw new DeloraFormatException(source, field,
                $"the pattern \"{pattern}\" is wrong at position {error.Position}: {error.Message}.", error);
        }
        string text = fullMatch ? $@"\A(?:{translated.Text})\z" : $@"\A(?:{translated.Text})";
        RegexOptions options = RegexOptions.CultureInvariant | translated.Options;
        try
        {
            _regex = new Regex(text, options | RegexOptions.NonBacktracking, s_timeout);
        }
        catch (NotSupportedException)
        {
            // Look-around and back-references need backtracking.
            _regex = Compile(text, options);
        }
        catch (RegexParseException error)
        {
            throw Refused(error);
        }
    }

    /// <summary><c>re.fullmatch</c>: the pattern must match the whole name.</summary>
    /// <param name="pattern">Python's syntax.</param>
    /// <param name="source">The configuration that errors name.</param>
    /// <param name="field">Its field.</param>
    /// <exception cref="DeloraFormatException">The pattern is wrong or cannot be matched here; the position is named.</exception>
    public static PythonRegex FullMatch(string pattern, string source, string field) => new(pattern, source, field, fullMatch: true);

    /// <summary><c>re.match</c>: the pattern must match from the start of the name.</summary>
    /// <inheritdoc cref="FullMatch"/>
    public static PythonRegex MatchFromStart(string pattern, string source, string field) => new(pattern, source, field, fullMatch: false);

    /// <summary>Whether a name matches.</summary>
    /// <exception cref="DeloraFormatException">It took too long.</exception>
    public bool IsMatch(string name) => Run(name, _regex.IsMatch);

    /// <summary>What the first group of a match holds; null where there is no match.</summary>
    /// <exception cref="DeloraFormatException">It took too long.</exception>
    public string? FirstGroup(string name) =>
        Run(name, _regex.Match) is { Success: true } match ? match.Groups[PythonPattern.GroupName(1)].Value : null;

    private T Run<T>(string name, Func<string, T> match)
    {
        try
        {
            return match(name);
        }
        catch (RegexMatchTimeoutException error)
        {
            throw new DeloraFormatException(_source, _field,
                $"the pattern \"{_pattern}\" takes more than {s_timeout.TotalMilliseconds} ms on the name '{name}'; simplify it.", error);
        }
    }

    private Regex Compile(string text, RegexOptions options)
    {
        try
        {
            return new Regex(text, options, s_timeout);
        }
        catch (RegexParseException error)
        {
            throw Refused(error);
        }
    }

    private DeloraFormatException Refused(RegexParseException error) =>
        new(_source, _field, $"the pattern \"{_pattern}\" cannot be matched here ({error.Error}).", error);
}
