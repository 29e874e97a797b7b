using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace Delora.Nn;

/// <summary>
/// .NET's regular expressions see UTF-16 halves, which are neither letters nor signs. So before a text is matched each character beyond
/// U+FFFF is replaced by one below that has its category, and matches are counted back.
/// </summary>
internal static class StandIns
{
    /// <summary>For ideographs: it is itself one, and in no range that patterns name but the script's.</summary>
    public const char Ideograph = '\u3400';

    private static readonly FrozenDictionary<UnicodeCategory, char> ByCategory = new Dictionary<UnicodeCategory, char>
    {
        [UnicodeCategory.UppercaseLetter] = '\uA7AE',
        [UnicodeCategory.LowercaseLetter] = '\uA7FA',
        [UnicodeCategory.TitlecaseLetter] = '\u1FFC',
        [UnicodeCategory.ModifierLetter] = '\uA788',
        [UnicodeCategory.OtherLetter] = '\uA7F7',
        [UnicodeCategory.NonSpacingMark] = '\uA8F1',
        [UnicodeCategory.SpacingCombiningMark] = '\uA880',
        [UnicodeCategory.EnclosingMark] = '\uA670',
        [UnicodeCategory.DecimalDigitNumber] = '\uA8D0',
        [UnicodeCategory.LetterNumber] = '\uA6E6',
        [UnicodeCategory.OtherNumber] = '\uA830',
        [UnicodeCategory.ConnectorPunctuation] = '\uFE4D',
        [UnicodeCategory.DashPunctuation] = '\uFE58',
        [UnicodeCategory.OpenPunctuation] = '\uFE59',
        [UnicodeCategory.ClosePunctuation] = '\uFE5A',
        [UnicodeCategory.InitialQuotePunctuation] = '\u2E0C',
        [UnicodeCategory.FinalQuotePunctuation] = '\u2E0D',
        [UnicodeCategory.OtherPunctuation] = '\uA874',
        [UnicodeCategory.MathSymbol] = '\uFE62',
        [UnicodeCategory.CurrencySymbol] = '\uA838',
        [UnicodeCategory.ModifierSymbol] = '\uA700',
        [UnicodeCategory.OtherSymbol] = '\uA828',
        [UnicodeCategory.Format] = '\uFFF9',
        [UnicodeCategory.PrivateUse] = '\uE000',
        [UnicodeCategory.OtherNotAssigned] = '\uFDD0',
    }.ToFrozenDictionary();

    private static readonly char[] All = [Ideograph, .. ByCategory.Values];

    /// <summary>Whether a character that stands for others lies in a range.</summary>
    public static bool Any(char first, char last) => All.Any(c => c >= first && c <= last);

    /// <summary>The text with stand-ins, and for each of its characters and its end the place in the text itself.</summary>
    public static (char[] Text, int[] Places) Replace(ReadOnlySpan<char> text)
    {
        var result = new char[text.Length];
        int[] places = new int[text.Length + 1];
        int count = 0;
        for (int at = 0; at < text.Length; count++)
        {
            Rune.DecodeFromUtf16(text[at..], out Rune rune, out int length);
            places[count] = at;
            result[count] = rune.IsBmp ? (char)rune.Value : For(rune);
            at += length;
        }
        places[count] = text.Length;
        return (result[..count], places[..(count + 1)]);
    }

    private static char For(Rune rune) => IsIdeograph(rune.Value) ? Ideograph : ByCategory[Rune.GetUnicodeCategory(rune)];

    /// <summary>Script Han beyond U+FFFF, but for two signs and two marks that have other categories.</summary>
    private static bool IsIdeograph(int rune) => rune is (>= 0x20000 and <= 0x323AF) && Rune.GetUnicodeCategory(new Rune(rune))
        == UnicodeCategory.OtherLetter;
}
