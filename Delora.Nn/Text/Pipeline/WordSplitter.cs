using System.Collections.Immutable;
using System.Text;

namespace Delora.Nn;

/// <summary>Takes a word.</summary>
internal delegate void WordAction(ReadOnlySpan<char> word);

/// <summary>Cuts a text into words, across which no token reaches: a <c>pre_tokenizer</c> of <c>tokenizer.json</c>.</summary>
internal abstract class WordSplitter
{
    /// <summary>Tells of each word, none of them empty.</summary>
    /// <param name="text">A part of the text without added tokens.</param>
    /// <param name="isFirst">Whether the whole text begins with it.</param>
    /// <param name="word">Is told.</param>
    public abstract void Split(ReadOnlySpan<char> text, bool isFirst, WordAction word);

    /// <summary>All of them, one after the other: each cuts what the ones before have left.</summary>
    public static WordSplitter InOrder(ImmutableArray<WordSplitter> splitters) =>
        splitters is [var one] ? one : new Sequence(splitters);

    private sealed class Sequence(ImmutableArray<WordSplitter> splitters) : WordSplitter
    {
        public override void Split(ReadOnlySpan<char> text, bool isFirst, WordAction word) => Split(0, text, isFirst, word);

        private void Split(int index, ReadOnlySpan<char> text, bool isFirst, WordAction word)
        {
            if (index == splitters.Length)
            {
                word(text);
                return;
            }
            bool first = isFirst;
            splitters[index].Split(text, isFirst, piece =>
            {
                Split(index + 1, piece, first, word);
                first = false;
            });
        }
    }
}

/// <summary>Leaves a text in one piece.</summary>
internal sealed class NoSplitter : WordSplitter
{
    public override void Split(ReadOnlySpan<char> text, bool isFirst, WordAction word) => word(text);
}

/// <summary>GPT-2's words (<see cref="Gpt2Words"/>).</summary>
internal sealed class Gpt2Splitter : WordSplitter
{
    public override void Split(ReadOnlySpan<char> text, bool isFirst, WordAction word)
    {
        while (!text.IsEmpty)
        {
            int length = Gpt2Words.FirstLength(text);
            word(text[..length]);
            text = text[length..];
        }
    }
}

/// <summary>Puts a space before a text that does not begin with one (<c>add_prefix_space</c>).</summary>
internal sealed class PrefixSpace : WordSplitter
{
    public override void Split(ReadOnlySpan<char> text, bool isFirst, WordAction word)
    {
        if (text[0] == ' ') word(text);
        else word($" {text}");
    }
}

/// <summary>
/// Spaces become a visible sign, and one stands before the text where it does not begin with one: SentencePiece's way, Metaspace in
/// <c>tokenizer.json</c>.
/// </summary>
/// <param name="sign">The sign.</param>
/// <param name="prefixes">Whether one is put before a part of a text.</param>
/// <param name="onlyFirst">Whether only before the part that the whole text begins with.</param>
/// <param name="splits">Whether each sign begins a word.</param>
internal sealed class Metaspace(char sign, bool prefixes, bool onlyFirst, bool splits) : WordSplitter
{
    public override void Split(ReadOnlySpan<char> text, bool isFirst, WordAction word)
    {
        string signed = text.ToString().Replace(' ', sign);
        if (prefixes && signed[0] != sign && (isFirst || !onlyFirst)) signed = sign + signed;
        ReadOnlySpan<char> left = signed;
        while (splits && left[1..].IndexOf(sign) is var length and >= 0)
        {
            word(left[..(length + 1)]);
            left = left[(length + 1)..];
        }
        word(left);
    }
}

/// <summary>BERT's words: white space goes, and each sign is a word of its own (BertPreTokenizer).</summary>
internal sealed class BertSplitter : WordSplitter
{
    public override void Split(ReadOnlySpan<char> text, bool isFirst, WordAction word)
    {
        while (!text.IsEmpty)
        {
            int start = 0, length = 0;
            bool isSign = false;
            while (length < text.Length)
            {
                Rune.DecodeFromUtf16(text[length..], out Rune rune, out int size);
                bool isSpace = Rune.IsWhiteSpace(rune);
                isSign = BertCharacters.IsSign(rune);
                if ((isSpace || isSign) && length > start) break;
                length += size;
                if (isSpace) start = length;
                else if (isSign) break;
            }
            if (length > start) word(text[start..length]);
            text = text[length..];
        }
    }
}
