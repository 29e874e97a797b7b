using System.Globalization;
using System.Text.Json;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The labels of words, as <c>delora classify</c> writes them.</summary>
internal static class WordLabels
{
    /// <summary>Labels the words of some texts at once: the label of a word is that of its first token.</summary>
    /// <param name="console">Told of words that get no label.</param>
    /// <param name="folder">The model's folder.</param>
    /// <param name="classifier">The model.</param>
    /// <param name="texts">The texts.</param>
    /// <param name="length">The most tokens of a text.</param>
    /// <param name="json">Whether each text is one line of JSON.</param>
    public static IEnumerable<string> Lines(
        CliConsole console, ModelFolder folder, TokenClassifier classifier, TextWords[] texts, int length, bool json)
    {
        WordEncoding[] encoded = [.. texts.Select(text => folder.EncodeWords([.. text.Words.Select(word => word.Text)], length))];
        if (encoded.Any(words => words.Text.Ids.Length == 0)) throw new InputException("a text has no token: it is empty");
        IReadOnlyList<IReadOnlyList<LabelScore>> labels =
            classifier.Classify(EncodedBatch.Pad([.. encoded.Select(words => words.Text)], ((EncoderConfig)folder.Config).PadTokenId));
        foreach (((TextWords text, WordEncoding words), IReadOnlyList<LabelScore> ofTokens) in texts.Zip(encoded).Zip(labels))
        {
            LabelScore?[] ofWords = words.OfWords(ofTokens);
            int without = ofWords.Count(label => label is null);
            if (without > 0)
                console.Warn($"{without} of {words.Count} words have no label: they lie beyond {length} tokens, or the tokenizer makes nothing of them");
            List<Labelled> all = [.. Labels(text, ofWords)];
            if (json)
            {
                yield return JsonSerializer.Serialize(all.Select(
                    word => new { entity = word.Label.Label, score = word.Label.Score, word = word.Word, start = word.Start, end = word.End }));
                continue;
            }

            foreach (Labelled word in all)
                yield return string.Create(
                    CultureInfo.InvariantCulture,
                    $"{Printable.Line(word.Word)}\t{Printable.Line(word.Label.Label)}\t{word.Label.Score:F4}\t{word.Start}\t{word.End}");
            yield return "";
        }
    }

    /// <summary>Words with their places in Unicode characters, as Python counts them.</summary>
    private static IEnumerable<Labelled> Labels(TextWords text, LabelScore?[] labels)
    {
        (int at, int counted) = (0, 0);
        foreach ((TextWord word, LabelScore? label) in text.Words.Zip(labels))
        {
            counted += Count(text.Text.AsSpan(at, word.Start - at));
            int end = counted + Count(word.Text);
            if (label is { } given) yield return new Labelled(word.Text, given, counted, end);
            (at, counted) = (word.End, end);
        }
    }

    private static int Count(ReadOnlySpan<char> text)
    {
        int count = 0;
        foreach (System.Text.Rune _ in text.EnumerateRunes()) count++;
        return count;
    }

    private readonly record struct Labelled(string Word, LabelScore Label, int Start, int End);
}
