using System.Globalization;

namespace Delora.Nn;

// Characters, alone and in classes, and how they are escaped.
internal sealed partial class PythonPattern
{
    private void Class()
    {
        int start = _next++;
        _output.Append('[');
        if (_next < _pattern.Length && _pattern[_next] == '^')
        {
            _output.Append('^');
            _next++;
        }
        int first = _next;
        while (true)
        {
            if (_next >= _pattern.Length) throw Error(start, "unterminated character set");
            if (_pattern[_next] == ']' && _next > first) break;
            int from = _next;
            char? low = ClassItem();
            if (!(_next + 1 < _pattern.Length && _pattern[_next] == '-' && _pattern[_next + 1] != ']')) continue;
            _next++;
            _output.Append('-');
            char? high = ClassItem();
            if (low is null || high is null || low > high) throw Error(from, $"bad character range {_pattern[from.._next]}");
        }
        _next++;
        Emit("]");
    }

    /// <summary>One character of a class, or null for a shorthand like <c>\d</c>.</summary>
    private char? ClassItem()
    {
        char c = _pattern[_next];
        if (c != '\\')
        {
            _next++;
            // In .NET a bracket or a caret would mean something here.
            _output.Append(c is '[' or ']' or '^' or '-' ? "\\" + c : c.ToString());
            return c;
        }
        if (_next + 1 >= _pattern.Length) throw Error(_next, "bad escape (end of pattern)");
        char kind = _pattern[_next + 1];
        if (Shorthand(kind, inClass: true) is { } shorthand)
        {
            _next += 2;
            _output.Append(shorthand);
            return null;
        }
        char value = EscapedCharacter(inClass: true);
        _output.Append(Code(value));
        return value;
    }

    private void Escape()
    {
        int start = _next;
        if (start + 1 >= _pattern.Length) throw Error(start, "bad escape (end of pattern)");
        char kind = _pattern[start + 1];
        switch (kind)
        {
            case 'A' or 'b' or 'B' or 'Z':
                Emit(kind == 'Z' ? "\\z" : "\\" + kind);
                _unrepeatable = "nothing to repeat";
                _next += 2;
                return;
            case >= '1' and <= '9' when !IsOctal(start + 1):
                int end = start + 2;
                if (end < _pattern.Length && char.IsAsciiDigit(_pattern[end])) end++;
                _next = end;
                Reference(start, int.Parse(_pattern.AsSpan((start + 1)..end), CultureInfo.InvariantCulture));
                return;
        }
        if (Shorthand(kind, inClass: false) is { } shorthand)
        {
            Emit(shorthand);
            _next += 2;
            return;
        }
        Emit(Code(EscapedCharacter(inClass: false)));
    }

    /// <summary>Python's word characters are the letters, all numbers and the underscore; .NET's are not the same.</summary>
    private static string? Shorthand(char kind, bool inClass) => kind switch
    {
        'd' or 'D' or 's' or 'S' => "\\" + kind,
        'w' => inClass ? @"\p{L}\p{N}_" : @"[\p{L}\p{N}_]",
        'W' => inClass ? @"\W" : @"[^\p{L}\p{N}_]",
        _ => null,
    };

    private char EscapedCharacter(bool inClass)
    {
        int start = _next;
        char kind = _pattern[start + 1];
        switch (kind)
        {
            case 'x': return Hexadecimal(2);
            case 'u': return Hexadecimal(4);
            case '0' or (>= '1' and <= '7') when kind == '0' || inClass || IsOctal(start + 1):
                int end = start + 1;
                while (end < _pattern.Length && end < start + 4 && _pattern[end] is >= '0' and <= '7') end++;
                int value = Convert.ToInt32(_pattern[(start + 1)..end], 8);
                if (value > 255) throw Error(start, "octal escape value outside of range 0-0o377");
                _next = end;
                return (char)value;
        }
        _next += 2;
        return kind switch
        {
            'a' => '\a',
            'b' when inClass => '\b',
            'f' => '\f',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\v',
            _ when char.IsAsciiLetterOrDigit(kind) => throw Error(start, $"bad escape \\{kind}"),
            _ => kind,
        };
    }

    private char Hexadecimal(int digits)
    {
        int start = _next;
        int from = start + 2;
        if (from + digits > _pattern.Length
            || !int.TryParse(_pattern.AsSpan(from, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value))
            throw Error(start, "incomplete escape");
        _next = from + digits;
        return (char)value;
    }

    /// <summary>Three octal digits are a character; fewer are a group.</summary>
    private bool IsOctal(int at) =>
        at + 2 < _pattern.Length && _pattern[at] is >= '0' and <= '3' && _pattern[at + 1] is >= '0' and <= '7'
            && _pattern[at + 2] is >= '0' and <= '7';

    private static string Literal(char c) => char.IsAsciiLetterOrDigit(c) ? c.ToString() : Code(c);

    private static string Code(char c) => $"\\u{(int)c:X4}";
}
