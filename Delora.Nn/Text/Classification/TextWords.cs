using System.Text;

namespace Delora.Nn;

/// <summary>A word of a text, and where it stands.</summary>
/// <param name="Text">The word.</param>
/// <param name="Start">Its first character: an index into the text, as .NET counts them.</param>
public readonly record struct TextWord(string Text, int Start)
{
    /// <summary>The index behind its last character.</summary>
    public int End => Start + Text.Length;
}

/// <summary>A text whose words are to be labelled one by one.</summary>
/// <param name="Text">The text.</param>
/// <param name="Words">Its words, in their order.</param>
public sealed record TextWords(string Text, IReadOnlyList<TextWord> Words)
{
    /// <summary>
    /// Cuts a text into words: what stands between white space, where every sign (punctuation, symbols) is a word of its own, as in most data of
    /// named entities and as BERT's own tokenizer cuts.
    /// </summary>
    public static TextWords Split(string text)
    {
        List<TextWord> words = [];
        int start = 0, at = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            int length = Math.Min(rune.Utf16SequenceLength, text.Length - at);
            bool space = Rune.IsWhiteSpace(rune), sign = Rune.IsPunctuation(rune) || Rune.IsSymbol(rune);
            if (space || sign)
            {
                Close(at);
                if (sign) words.Add(new TextWord(text.Substring(at, length), at));
                start = at + length;
            }
            at += length;
        }
        Close(at);
        return new TextWords(text, words);

        void Close(int end)
        {
            if (end > start) words.Add(new TextWord(text[start..end], start));
        }
    }

    /// <summary>Words with one space between them.</summary>
    public static TextWords Join(IEnumerable<string> words)
    {
        List<TextWord> all = [];
        foreach (string word in words) all.Add(new TextWord(word, all.Count == 0 ? 0 : all[^1].End + 1));
        return new TextWords(string.Join(' ', all.Select(word => word.Text)), all);
    }
}
