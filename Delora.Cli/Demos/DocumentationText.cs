using System.Text;

namespace Delora.Cli;

/// <summary>Normalizes the text of documentation.</summary>
internal static class DocumentationText
{
    /// <summary>
    /// White space becomes one blank, and a qualified name (<c>System.Xml.XmlReader</c>, <c>Microsoft.…</c>) its last part: the namespace
    /// is what a classifier of namespaces has to find out, so it must not be read off the text.
    /// </summary>
    public static string Normalize(string text)
    {
        StringBuilder result = new(text.Length);
        foreach (string word in text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
        {
            if (result.Length > 0)
                result.Append(' ');
            AppendWord(result, word);
        }

        return result.ToString();
    }

    private static void AppendWord(StringBuilder result, string word)
    {
        int i = 0;
        while (i < word.Length)
        {
            if (!IsNameStart(word[i]))
            {
                result.Append(word[i++]);
                continue;
            }

            int start = i, last = i;
            for (; ; )
            {
                while (i < word.Length && IsNamePart(word[i]))
                    i++;
                if (i + 1 >= word.Length || word[i] != '.' || !IsNameStart(word[i + 1]))
                    break;
                last = ++i;
            }

            ReadOnlySpan<char> name = word.AsSpan(start, i - start);
            if (name.StartsWith("System.", StringComparison.Ordinal) || name.StartsWith("Microsoft.", StringComparison.Ordinal))
                start = last;
            result.Append(word, start, i - start);
        }
    }

    private static bool IsNameStart(char c) => char.IsLetter(c) || c == '_';

    private static bool IsNamePart(char c) => char.IsLetterOrDigit(c) || c == '_';
}
