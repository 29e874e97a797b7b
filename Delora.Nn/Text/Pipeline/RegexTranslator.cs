using System.Globalization;
using System.Text;

namespace Delora.Nn;

/// <summary>
/// Translates the regular expressions of pre-tokenizers, which are Oniguruma's, into .NET's: alternatives, groups, classes with Unicode
/// categories, greedy, lazy and possessive repetition, looking ahead. What means another thing in .NET is refused with its place, and so are
/// repetitions within a group that repeats, which most often take exponential time; what still takes long is stopped when it runs
/// (<see cref="RegexSplitter"/>). The result is for texts whose characters beyond the basic plane have stand-ins (<see cref="StandIns"/>).
/// </summary>
/// <remarks>Source: Oniguruma 6.9, doc/RE and doc/SYNTAX.md (Ruby's syntax).</remarks>
internal sealed class RegexTranslator
{
    /// <summary>The ideographs of the basic plane, and those that stand for all others (<see cref="StandIns.Ideograph"/>).</summary>
    private const string Han =
        @"\u2E80-\u2E99\u2E9B-\u2EF3\u2F00-\u2FD5\u3005\u3007\u3021-\u3029\u3038-\u303B\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFA6D\uFA70-\uFAD9";

    private const int MostRepeats = 1000;

    /// <summary>Groups within groups: published patterns have two or three, and a stranger's must not use up the stack.</summary>
    private const int MostNesting = 50;

    private static readonly HashSet<string> Categories =
    [
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
        "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Cn", "Co",
    ];

    private readonly string _pattern;
    private readonly StringBuilder _result = new();
    private int _at;
    private int _depth;

    private RegexTranslator(string pattern) => _pattern = pattern;

    /// <summary>The .NET pattern.</summary>
    /// <exception cref="FormatException">Says what is not supported, and where.</exception>
    public static string Translate(string pattern)
    {
        var translator = new RegexTranslator(pattern);
        translator.Alternatives(ignoreCase: false);
        return translator._at == pattern.Length ? translator._result.ToString() : throw translator.Wrong("nothing was opened that ')' closes");
    }

    /// <summary>A pattern that matches a text.</summary>
    /// <exception cref="FormatException">The text has a character that .NET's expressions do not see as one.</exception>
    public static string Literal(string text)
    {
        var translator = new RegexTranslator(text);
        while (translator.More) translator._result.Append(translator.Character(translator.Next()));
        return translator._result.ToString();
    }

    private bool More => _at < _pattern.Length;

    private char Now => _pattern[_at];

    /// <summary>Alternatives up to the end or a closing parenthesis.</summary>
    /// <returns>Whether one of them repeats without a limit.</returns>
    private bool Alternatives(bool ignoreCase)
    {
        bool endless = false;
        char before = '\0';
        while (More && Now != ')')
        {
            if (Now == '|')
            {
                _at++;
                _result.Append('|');
                before = '\0';
                continue;
            }
            int start = _result.Length;
            char first = Now;
            bool isGroup = first == '(', inner = Atom(ignoreCase);
            // Folding knows letters that stand for two: the sharp s, ligatures.
            if (ignoreCase && char.IsAsciiLetter(first))
            {
                string two = $"{char.ToLowerInvariant(before)}{char.ToLowerInvariant(first)}";
                if (two is "ss" or "st" or "ff" or "fi" or "fl") throw Wrong($"'{two}' without regard to case is not supported");
            }
            before = first;
            endless |= inner | Quantifier(start, isGroup, inner);
        }
        return endless;
    }

    /// <returns>Whether something in it repeats without a limit.</returns>
    private bool Atom(bool ignoreCase)
    {
        char c = Next();
        switch (c)
        {
            case '(':
                return Group(ignoreCase);
            case '[':
                if (ignoreCase) throw Wrong("a class without regard to case is not supported");
                Class();
                return false;
            case '.':
                _result.Append(@"[^\n]");
                return false;
            case '\\':
                string escape = Escape();
                if (ignoreCase && (escape == Han || escape[1] is 'p' or 'P' || char.IsLetter(_pattern[_at - 1])))
                    throw Wrong("this escape without regard to case is not supported");
                _result.Append(escape == Han ? $"[{escape}]" : escape);
                return false;
            case '*' or '+' or '?' or '{' or '}' or '^' or '$' or ']':
                throw Wrong($"'{c}' is not supported here");
            default:
                _result.Append(ignoreCase ? Folded(c) : Character(c));
                return false;
        }
    }

    private bool Group(bool ignoreCase)
    {
        string open = "(?:";
        if (Take("?!")) open = "(?!";
        else if (Take("?=")) open = "(?=";
        else if (Take("?i:")) ignoreCase = true;
        else if (!Take("?:") && More && Now == '?') throw Wrong("this kind of group is not supported");
        if (++_depth > MostNesting) throw Wrong($"more than {MostNesting} groups within each other are not supported");
        _result.Append(open);
        bool endless = Alternatives(ignoreCase);
        if (!Take(")")) throw Wrong("a group does not end");
        _result.Append(')');
        _depth--;
        return endless;
    }

    /// <returns>Whether it repeats without a limit.</returns>
    private bool Quantifier(int start, bool isGroup, bool endless)
    {
        if (!More) return false;
        string? quantifier = Now is '*' or '+' or '?' ? Next().ToString() : Now == '{' ? Counts() : null;
        if (quantifier is null) return false;
        bool unlimited = quantifier is "*" or "+" || quantifier.EndsWith(",}", StringComparison.Ordinal);
        if (isGroup && quantifier != "?" && (endless || unlimited))
            throw Wrong("a group that repeats is not supported where it has no limit, or what is in it has none");
        _result.Append(quantifier);
        if (More && Now == '+')
        {
            // Ruby's syntax: {1,3}+ repeats the repetition.
            if (quantifier[0] == '{') throw Wrong("'+' behind '{…}' is not supported");
            _at++;
            _result.Insert(start, "(?>").Append(')');
        }
        else if (More && Now == '?')
        {
            if (quantifier[0] == '{') throw Wrong("'?' behind '{…}' is not supported");
            _at++;
            _result.Append('?');
        }
        if (More && Now is '*' or '+' or '?' or '{') throw Wrong("a repetition of a repetition is not supported");
        return unlimited;
    }

    private string Counts()
    {
        int end = _pattern.IndexOf('}', _at);
        string[] counts = end < 0 ? [] : _pattern[(_at + 1)..end].Split(',');
        int[] numbers = [.. counts.Where(count => count.Length > 0).Select(count =>
            int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number <= MostRepeats ? number : -1)];
        bool isValid = counts.Length is 1 or 2 && counts[0].Length > 0 && !numbers.Contains(-1) && (numbers.Length < 2 || numbers[0] <= numbers[1]);
        if (!isValid) throw Wrong($"'{{' must begin a number of repetitions, or two, up to {MostRepeats}");
        _at = end + 1;
        return $"{{{string.Join(',', counts)}}}";
    }

    private void Class()
    {
        _result.Append('[');
        if (Take("^")) _result.Append('^');
        bool any = false;
        while (!Take("]"))
        {
            if (!More) throw Wrong("a class does not end");
            if (Now == '[' || (Now == '&' && _pattern.AsSpan(_at).StartsWith("&&"))) throw Wrong("a class within a class is not supported");
            any = true;
            string item = Item(out char? first);
            _result.Append(item);
            if (More && Now == '-' && _at + 1 < _pattern.Length && _pattern[_at + 1] != ']')
            {
                _at++;
                string last = Item(out char? end);
                if (first is not { } from || end is not { } to || from > to) throw Wrong("a range must go from one character to a higher one");
                if (StandIns.Any(from, to)) throw Wrong("a range with characters that stand for those beyond U+FFFF is not supported");
                _result.Append('-').Append(last);
            }
        }
        if (!any) throw Wrong("an empty class is not supported");
        _result.Append(']');
    }

    /// <summary>An item of a class, and the character where it is one.</summary>
    private string Item(out char? character)
    {
        character = null;
        char c = Next();
        if (c != '\\') return Character((character = c).Value);
        string escape = Escape();
        if (escape.StartsWith(@"\u", StringComparison.Ordinal) && escape.Length == 6)
            character = (char)int.Parse(escape.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        return escape;
    }

    /// <summary>What stands behind a backslash, as it is written in a class.</summary>
    private string Escape()
    {
        char c = More ? Next() : throw Wrong("nothing is escaped");
        switch (c)
        {
            case 's' or 'S': return $@"\{c}";
            case 'd': return @"\p{Nd}";
            case 'D': return @"\P{Nd}";
            case 'p' or 'P': return Property(c);
            case 'r': return Character('\r');
            case 'n': return Character('\n');
            case 't': return Character('\t');
            case 'f': return Character('\f');
            case 'v': return Character('\v');
            case 'x' or 'u': return Character(Code(c));
        }
        if (char.IsAsciiLetterOrDigit(c)) throw Wrong($@"'\{c}' is not supported");
        return Character(c);
    }

    /// <summary>\p{name} or \P{name}, a general category, or Han.</summary>
    private string Property(char kind)
    {
        int end = More && Now == '{' ? _pattern.IndexOf('}', _at) : -1;
        if (end < 0) throw Wrong($@"'\{kind}' must be followed by a name in braces");
        string name = _pattern[(_at + 1)..end];
        if (name is "Han" or "Script=Han" && kind == 'p') (_at, name) = (end + 1, Han);
        else if (Categories.Contains(name)) (_at, name) = (end + 1, $@"\{kind}{{{name}}}");
        else throw Wrong($@"'\{kind}{{{name}}}' is not supported");
        return name;
    }

    /// <summary>\uHHHH, \xHH or \x{H…}.</summary>
    private char Code(char kind)
    {
        bool braced = kind == 'x' && Take("{");
        int end = braced ? _pattern.IndexOf('}', _at) : Math.Min(_at + (kind == 'u' ? 4 : 2), _pattern.Length);
        if (end < 0 || !int.TryParse(_pattern.AsSpan(_at, end - _at), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code))
            throw Wrong($@"'\{kind}' must be followed by a hexadecimal number");
        if (code is < 0 or > 0xFFFF) throw Wrong("characters beyond U+FFFF are not supported");
        _at = braced ? end + 1 : end;
        return (char)code;
    }

    /// <summary>A character by its number, so that it means nothing else.</summary>
    private string Character(char c)
    {
        if (char.IsSurrogate(c)) throw Wrong("characters beyond U+FFFF are not supported");
        return StandIns.Any(c, c) ? throw Wrong($"U+{(int)c:X4} is not supported: it stands for others here") : $@"\u{(int)c:X4}";
    }

    /// <summary>A letter without regard to case: for s and k there is a third one.</summary>
    private string Folded(char c)
    {
        if (!char.IsAscii(c)) throw Wrong($"'{c}' without regard to case is not supported");
        if (!char.IsAsciiLetter(c)) return Character(c);
        char lower = char.ToLowerInvariant(c);
        return $"[{lower}{char.ToUpperInvariant(c)}{lower switch { 's' => @"\u017F", 'k' => @"\u212A", _ => "" }}]";
    }

    private char Next() => _pattern[_at++];

    private bool Take(string text)
    {
        if (!_pattern.AsSpan(_at).StartsWith(text)) return false;
        _at += text.Length;
        return true;
    }

    private FormatException Wrong(string reason) => new($"at character {_at}: {reason}");
}
