using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Delora.Nn;

/// <summary>What is wrong with a pattern, and where.</summary>
internal sealed class PythonPatternException(int position, string reason) : Exception(reason)
{
    /// <summary>Index of the character, from 0, as Python counts.</summary>
    public int Position { get; } = position;
}

/// <summary>
/// Translates a regular expression from the syntax of Python's <c>re</c> into .NET's. All capturing groups get names by their number,
/// because .NET counts
/// named groups after the others and Python counts all in order.
/// </summary>
internal sealed partial class PythonPattern
{
    private readonly string _pattern;
    private readonly StringBuilder _output = new();
    private readonly Dictionary<string, int> _names = [];
    private readonly Stack<(int Position, int Group)> _open = new();
    private int _next, _groups;

    /// <summary>Whether a quantifier may follow, or why not.</summary>
    private string? _unrepeatable = "nothing to repeat";

    private PythonPattern(string pattern) => _pattern = pattern;

    /// <summary>The pattern in .NET's syntax.</summary>
    public string Text => _output.ToString();

    /// <summary>The flags at the pattern's start.</summary>
    public RegexOptions Options { get; private set; }

    /// <summary>The name that a group got.</summary>
    public static string GroupName(int number) => $"g{number}";

    /// <summary>Translates.</summary>
    /// <exception cref="PythonPatternException">The pattern is wrong in Python, or .NET has no equal.</exception>
    public static PythonPattern Translate(string pattern)
    {
        var translation = new PythonPattern(pattern);
        translation.Run();
        return translation;
    }

    private void Run()
    {
        for (int i = 0; i < _pattern.Length; i++)
            if (char.IsSurrogate(_pattern[i])) throw Error(i, "characters beyond the basic plane are not supported");
        while (_next < _pattern.Length)
        {
            char c = _pattern[_next];
            switch (c)
            {
                case '(': OpenGroup(); break;
                case ')':
                    if (!_open.TryPop(out _)) throw Error(_next, "unbalanced parenthesis");
                    Emit(")");
                    _next++;
                    break;
                case '[': Class(); break;
                case '\\': Escape(); break;
                case '*' or '+' or '?': Quantifier(_next, c.ToString(), 1); break;
                case '{': Braces(); break;
                case '|' or '^':
                    _output.Append(c);
                    _unrepeatable = "nothing to repeat";
                    _next++;
                    break;
                case '$':
                    Emit("$");
                    _unrepeatable = "nothing to repeat";
                    _next++;
                    break;
                case '.':
                    Emit(c.ToString());
                    _next++;
                    break;
                default:
                    Emit(Literal(c));
                    _next++;
                    break;
            }
        }
        if (_open.TryPop(out var unclosed)) throw Error(unclosed.Position, "missing ), unterminated subpattern");
    }

    private void OpenGroup()
    {
        int start = _next;
        int group = 0;
        if (!Follows("(?"))
        {
            group = ++_groups;
            _output.Append("(?<").Append(GroupName(group)).Append('>');
            _next++;
        }
        else if (Follows("(?#"))
        {
            int end = _pattern.IndexOf(')', start);
            if (end < 0) throw Error(start, "missing ), unterminated comment");
            _next = end + 1;
            return;
        }
        else if (Follows("(?P<"))
        {
            group = ++_groups;
            string name = NameUntil('>', start + 4);
            if (!_names.TryAdd(name, group)) throw Error(start, $"redefinition of group name '{name}'");
            _output.Append("(?<").Append(GroupName(group)).Append('>');
        }
        else if (Follows("(?P="))
        {
            string name = NameUntil(')', start + 4);
            if (!_names.TryGetValue(name, out int number)) throw Error(start + 4, $"unknown group name '{name}'");
            Reference(start, number);
            return;
        }
        else if (Follows("(?("))
        {
            string condition = NameUntil(')', start + 3);
            if (!_names.TryGetValue(condition, out int number)
                && !(int.TryParse(condition, NumberStyles.None, CultureInfo.InvariantCulture, out number)
                && number >= 1 && number <= _groups))
                throw Error(start + 3, $"unknown group '{condition}'");
            _output.Append("(?(").Append(GroupName(number)).Append(')');
        }
        else
        {
            string? plain = Array.Find(["(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"], Follows);
            if (plain is null)
            {
                Flags(start);
                return;
            }
            _output.Append(plain);
            _next += plain.Length;
        }
        _open.Push((start, group));
        _unrepeatable = "nothing to repeat";
    }

    /// <summary><c>(?i)</c> at the start, or <c>(?i-s:…)</c> anywhere.</summary>
    private void Flags(int start)
    {
        int end = start + 2;
        while (end < _pattern.Length && (char.IsAsciiLetter(_pattern[end]) || _pattern[end] == '-')) end++;
        string flags = _pattern[(start + 2)..end];
        char close = end < _pattern.Length ? _pattern[end] : '\0';
        if (flags.Length == 0 || close is not (')' or ':'))
            throw Error(start + 1, $"unknown extension ?{(end < _pattern.Length ? _pattern[(start + 2)..(end + 1)] : flags)}");
        int wrong = flags.AsSpan().IndexOfAnyExcept("imsu-");
        if (wrong >= 0) throw Error(start + 2 + wrong, $"the flag '{flags[wrong]}' is not supported; i, m, s and u are");
        _next = end + 1;
        // For text, u is what Python does anyway.
        string used = flags.Replace("u", "");
        if (close == ')')
        {
            if (start != 0) throw Error(start, "global flags not at the start of the expression");
            if (used.Contains('-')) throw Error(start, "missing :");
            foreach (char flag in used)
                Options |= flag switch { 'i' => RegexOptions.IgnoreCase, 'm' => RegexOptions.Multiline, _ => RegexOptions.Singleline };
            return;
        }
        if (used.Count(flag => flag == '-') > 1 || used.EndsWith('-')) throw Error(start, "missing flag");
        _output.Append("(?").Append(used).Append(':');
        _open.Push((start, 0));
        _unrepeatable = "nothing to repeat";
    }

    private void Braces()
    {
        int end = _next + 1;
        while (end < _pattern.Length && (char.IsAsciiDigit(_pattern[end]) || _pattern[end] == ',')) end++;
        string inside = _pattern[(_next + 1)..end];
        if (inside.Length == 0 || end >= _pattern.Length || _pattern[end] != '}' || inside.Count(c => c == ',') > 1)
        {
            Emit("\\{");
            _next++;
            return;
        }
        // {,n} starts at 0 in Python and is plain text in .NET.
        string bounds = inside.StartsWith(',') ? "0" + inside : inside;
        foreach (string bound in bounds.Split(',', StringSplitOptions.RemoveEmptyEntries))
            if (!int.TryParse(bound, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                throw Error(_next, "the repetition number is too large");
        if (bounds.Split(',') is [string min, { Length: > 0 } max]
            && int.Parse(min, CultureInfo.InvariantCulture) > int.Parse(max, CultureInfo.InvariantCulture))
            throw Error(_next, "min repeat greater than max repeat");
        Quantifier(_next, "{" + bounds + "}", end + 1 - _next);
    }

    private void Quantifier(int start, string quantifier, int length)
    {
        if (_unrepeatable is not null) throw Error(start, _unrepeatable);
        _output.Append(quantifier);
        _next += length;
        if (_next < _pattern.Length && _pattern[_next] == '?')
        {
            _output.Append('?');
            _next++;
        }
        else if (_next < _pattern.Length && _pattern[_next] == '+')
        {
            throw Error(_next, "possessive quantifiers are not supported");
        }
        _unrepeatable = "multiple repeat";
    }

    private void Reference(int position, int number)
    {
        if (number > _groups) throw Error(position, $"invalid group reference {number}");
        if (_open.Any(open => open.Group == number)) throw Error(position, "cannot refer to an open group");
        Emit($"\\k<{GroupName(number)}>");
    }

    private string NameUntil(char close, int from)
    {
        int end = _pattern.IndexOf(close, from);
        if (end < 0) throw Error(from, $"missing {close}, unterminated name");
        string name = _pattern[from..end];
        if (name.Length == 0) throw Error(from, "missing group name");
        if (!name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_')) throw Error(from, $"bad character in group name '{name}'");
        _next = end + 1;
        return name;
    }

    private bool Follows(string text) => string.CompareOrdinal(_pattern, _next, text, 0, text.Length) == 0;

    private void Emit(string text)
    {
        _output.Append(text);
        _unrepeatable = null;
    }

    private static PythonPatternException Error(int position, string reason) => new(position, reason);
}
