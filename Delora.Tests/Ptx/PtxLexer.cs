using System.Globalization;

namespace Delora.Tests.Ptx;

/// <summary>What a token is. A word is a name, a directive or an opcode with all of its modifiers (<c>ld.global.v4.f32</c>).</summary>
internal enum PtxTokenKind { Word, Integer, Float, Text, Sign, End }

/// <summary>A token: its text, its bits where it is a number (a float's are those of its double), and its line, from 1.</summary>
internal readonly record struct PtxToken(PtxTokenKind Kind, string Text, ulong Bits, int Line)
{
    internal bool Is(string text) => Kind is PtxTokenKind.Word or PtxTokenKind.Sign && Text == text;
}

/// <summary>Cuts a PTX text into tokens (PTX ISA, section "Syntax"). Comments and the debugger's lines (<c>.loc</c>, <c>.file</c>) are left out.</summary>
internal static class PtxLexer
{
    internal static List<PtxToken> Cut(string name, string text)
    {
        var tokens = new List<PtxToken>();
        int at = 0, line = 1;
        while (at < text.Length)
        {
            char c = text[at];
            if (c == '\n') (line, at) = (line + 1, at + 1);
            else if (char.IsWhiteSpace(c)) at++;
            else if (c == '/' && Next(1) == '/') SkipLine();
            else if (c == '/' && Next(1) == '*')
            {
                int end = text.IndexOf("*/", at + 2, StringComparison.Ordinal);
                if (end < 0) throw Error("a comment does not end");
                line += text.AsSpan(at, end - at).Count('\n');
                at = end + 2;
            }
            else if (c == '"')
            {
                int end = text.IndexOf('"', at + 1);
                if (end < 0) throw Error("a string does not end");
                Add(PtxTokenKind.Text, end + 1);
            }
            else if (char.IsAsciiDigit(c)) Number();
            else if (IsWordStart(c)) Word();
            else if ("{}[]()<>,;:+-@!|=*&~".Contains(c)) Add(PtxTokenKind.Sign, at + 1);
            else throw Error($"'{c}' begins nothing");
        }
        tokens.Add(new(PtxTokenKind.End, "the end of the text", 0, line));
        return tokens;

        char Next(int distance) => at + distance < text.Length ? text[at + distance] : '\0';

        void SkipLine()
        {
            while (at < text.Length && text[at] != '\n') at++;
        }

        void Add(PtxTokenKind kind, int end, ulong bits = 0)
        {
            tokens.Add(new(kind, text[at..end], bits, line));
            at = end;
        }

        void Word()
        {
            int end = at + 1;
            while (end < text.Length && (IsWordPart(text[end]) || (text[end] == ':' && end + 2 < text.Length && text[end + 1] == ':')
                || (text[end] == ':' && text[end - 1] == ':'))) end++;
            if (text.AsSpan(at, end - at) is ".loc" or ".file") SkipLine();
            else Add(PtxTokenKind.Word, end);
        }

        void Number()
        {
            int end = at;
            while (end < text.Length && (char.IsAsciiLetterOrDigit(text[end]) || text[end] == '.')) end++;
            // An exponent's sign belongs to the number, unless the number is hexadecimal.
            bool hexadecimal = text[at] == '0' && Next(1) is 'x' or 'X' or 'f' or 'F' or 'd' or 'D';
            if (!hexadecimal && end < text.Length && text[end - 1] is 'e' or 'E' && text[end] is '+' or '-')
                for (end++; end < text.Length && char.IsAsciiDigit(text[end]);) end++;
            string number = text[at..end];
            string digits = number.TrimEnd('U');
            const NumberStyles Hex = NumberStyles.AllowHexSpecifier;
            CultureInfo culture = CultureInfo.InvariantCulture;
            ulong bits;
            if (number.Length == 10 && number[1] is 'f' or 'F' && uint.TryParse(number.AsSpan(2), Hex, culture, out uint single))
                Add(PtxTokenKind.Float, end, BitConverter.DoubleToUInt64Bits(BitConverter.UInt32BitsToSingle(single)));
            else if (number.Length == 18 && number[1] is 'd' or 'D' && ulong.TryParse(number.AsSpan(2), Hex, culture, out bits))
                Add(PtxTokenKind.Float, end, bits);
            else if (hexadecimal && digits[1] is 'x' or 'X' && ulong.TryParse(digits.AsSpan(2), Hex, culture, out bits)) Add(PtxTokenKind.Integer, end, bits);
            else if (digits.Length > 2 && digits[1] is 'b' or 'B' && ulong.TryParse(digits.AsSpan(2), NumberStyles.AllowBinarySpecifier, culture, out bits))
                Add(PtxTokenKind.Integer, end, bits);
            else if ((digits == "0" || digits[0] != '0') && ulong.TryParse(digits, NumberStyles.None, culture, out bits)) Add(PtxTokenKind.Integer, end, bits);
            else if (number.Contains('.') && double.TryParse(number, NumberStyles.Float, culture, out double value))
                Add(PtxTokenKind.Float, end, BitConverter.DoubleToUInt64Bits(value));
            else throw Error($"'{number}' is no number");
        }

        PtxSyntaxFault Error(string message) => new($"{name}, line {line}: {message}");
    }

    private static bool IsWordStart(char c) => char.IsAsciiLetter(c) || c is '.' or '%' or '$' or '_';

    private static bool IsWordPart(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or '%' or '$' or '_';
}
