using Delora.Core;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn.Text;

/// <summary>Words with labels: which token has the label, what is cut, and what is refused.</summary>
public sealed class TokenClassificationDataTests : IDisposable
{
    private static readonly TextTokenizer s_bytes = BpeTrainer.Train(["the cat sat on the mat, and the cat ate"], 270);
    private static readonly string s_bert = Path.Combine(AppContext.BaseDirectory, "Golden", "Data", "tokenizer", "bert");
    private readonly TemporaryFolder _folder = new();

    private static EncoderConfig Config => TinyEncoder.Config(RobertaConfig.Family, EncoderHead.TokenClassification) with
    {
        VocabSize = s_bytes.VocabularySize,
        Labels = ["O", "B-X", "I-X"],
    };

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ABytesTokenizerPutsASpaceBeforeEveryWord()
    {
        WordEncoding words = s_bytes.EncodeWordsForModel(["the", "cat", "zebras"]);
        Assert.Equal([.. s_bytes.Encode(" the"), .. s_bytes.Encode(" cat"), .. s_bytes.Encode(" zebras")], words.Text.Ids);
        Assert.Equal(s_bytes.Encode(" the cat zebras"), words.Text.Ids);
        int zebra = s_bytes.Encode(" zebras").Count;
        Assert.Equal([0, 1, .. Enumerable.Repeat(2, zebra)], words.Words);
        Assert.Equal([10, 11, 12], words.OfWords<int>([10, 11, 12, .. Enumerable.Repeat(99, zebra - 1)]).Select(value => value!.Value));
        Assert.False(words.Cut);
    }

    [Fact]
    public void SpecialTokensStandAroundAllWordsAndBelongToNone()
    {
        Assert.SkipUnless(Directory.Exists(s_bert), "the golden set has no BERT tokenizer");
        TextTokenizer bert = TextTokenizer.Load(s_bert);
        string[] words = ["Hello", "", "unwanted", "é,"];
        WordEncoding encoded = bert.EncodeWordsForModel(words);
        // Each word is encoded by itself; joined by spaces they are the same words to BERT.
        (int[] ids, int[] types) = bert.EncodeForModel("Hello unwanted é,");
        Assert.Equal(ids, encoded.Text.Ids);
        Assert.Equal(types, encoded.Text.TokenTypeIds);
        Assert.Equal((-1, -1, 1, 4), (encoded.Words[0], encoded.Words[^1], encoded.WithoutTokens, encoded.Count));
        foreach ((int number, string word) in words.Index())
            Assert.Equal(bert.Encode(word), encoded.Text.Ids.Where((_, i) => encoded.Words[i] == number));
        Assert.Equal(encoded.Words.Where(word => word >= 0).Order(), encoded.Words.Where(word => word >= 0));

        WordEncoding cut = bert.EncodeWordsForModel(words, maxLength: 3);
        Assert.Equal([-1, 0, -1], cut.Words);
        Assert.Equal((true, ids[0], ids[^1]), (cut.Cut, cut.Text.Ids[0], cut.Text.Ids[^1]));
        Assert.Equal([5, null, null, null], cut.OfWords<int>([4, 5, 6]));
        Assert.Equal([-1, -1], bert.EncodeWordsForModel([]).Words);
        Assert.Throws<ArgumentOutOfRangeException>(() => bert.EncodeWordsForModel(words, maxLength: 1));
    }

    [Fact]
    public void TheFirstTokenOfAWordHasItsLabel()
    {
        string file = _folder.Write("data.jsonl", """
            {"tokens": ["the", "zebras", "sat"], "labels": ["O", "B-X", "I-X"], "id": 7}

            {"tokens": [], "labels": []}
            {"tokens": ["cat"], "labels": [1]}
            """);
        List<string> warnings = [];
        TokenClassificationRows rows = TokenClassificationData.Load(file, s_bytes, Config, 40, warnings.Add);
        TokenClassificationBatch batch = rows.Take(1, 0);
        int zebra = s_bytes.Encode(" zebras").Count, sat = s_bytes.Encode(" sat").Count, length = 1 + zebra + sat;
        Assert.Equal([1, .. Enumerable.Repeat(-100, length - 1)], batch.Labels[..length]);
        Assert.Equal([0, 1, .. Enumerable.Repeat(-100, zebra - 1), 2, .. Enumerable.Repeat(-100, sat - 1)], batch.Labels[length..]);
        Assert.Equal((2, 4, length), (rows.Count, rows.Words, rows.Longest));
        Assert.Equal([$"{file}: line 1: the field 'id' is ignored.", $"{file}: 1 texts without a word were left out."], warnings);
        warnings.Clear();
        TokenClassificationRows cut = TokenClassificationData.Load(file, s_bytes, Config, 2, warnings.Add);
        Assert.Equal([0, 1], cut.Take(0).Labels);
        Assert.Contains(warnings, warning => warning.EndsWith("1 of 3 texts have more than 2 tokens and were cut.", StringComparison.Ordinal));
        Assert.NotEqual(rows.Fingerprint, cut.Fingerprint);
        Assert.Equal(["B-X", "I-X", "O"], TokenClassificationData.LabelNames(
            _folder.Write("names.jsonl", """{"tokens": ["a", "b", "c"], "labels": ["O", "B-X", "I-X"]}""")));
        Assert.Equal(EncoderConfig.DefaultLabels(4), TokenClassificationData.LabelNames(_folder.Write("numbers.jsonl", """{"tokens": ["a", "b"], "labels": [0, 3]}""")));
    }

    [Theory]
    [InlineData("""{"tokens": ["a"], "labels": ["B-Y"]}""", "line 1: labels[0]: 'B-Y' is none of the model's labels: O, B-X, I-X")]
    [InlineData("""{"tokens": ["a"], "labels": [3]}""", "line 1: labels[0]: '3' is none of the model's labels")]
    [InlineData("""{"tokens": ["a", "b"], "labels": ["O"]}""", "line 1: labels: holds 1 labels for 2 words")]
    [InlineData("""{"tokens": "a b", "labels": ["O"]}""", "tokens: is missing, or no list of words")]
    [InlineData("""{"tokens": ["a", 1], "labels": ["O", "O"]}""", "tokens")]
    [InlineData("""{"text": "a", "labels": ["O"]}""", "tokens: is missing")]
    [InlineData("""{"tokens": ["a"], "label": "O"}""", "labels: is missing, or no list of labels")]
    [InlineData("""{"tokens": [""], "labels": ["O"]}""", "no text has a word with a token")]
    [InlineData("\n\n", "holds no text")]
    public void AWrongLineIsNamed(string line, string expected) =>
        Assert.Contains(
            expected, Assert.Throws<DeloraFormatException>(() => TokenClassificationData.Load(_folder.Write("bad.jsonl", line), s_bytes, Config, 9)).Message,
            StringComparison.Ordinal);

    [Fact]
    public void LabelsThatAreNoneAreRefused()
    {
        Assert.Throws<IndexException>(() => TokenClassificationRows.Of(Config, [new EncodedText(4)], [[3]]));
        Assert.Throws<ShapeException>(() => TokenClassificationRows.Of(Config, [new EncodedText(4)], [[1, 2]]));
        Assert.Throws<ShapeException>(() => TokenClassificationRows.Of(Config, [new EncodedText(4)], [[-100]]));
        Assert.Throws<ShapeException>(() => TokenClassificationRows.Of(Config, [new EncodedText(4)], [[1], [1]]));
        Assert.Throws<ShapeException>(() => TokenClassificationRows.Of(Config, [], []));
        Assert.Throws<ArgumentOutOfRangeException>(() => TokenClassificationRows.Of(Config, [new EncodedText(4)], [[1]]).Take(1));
    }

    [Fact]
    public void ATextIsCutAtSpacesAndSigns()
    {
        const string Text = "  Ada, born\tin \U0001F600London (1815).";
        TextWords words = TextWords.Split(Text);
        Assert.Equal(["Ada", ",", "born", "in", "\U0001F600", "London", "(", "1815", ")", "."], words.Words.Select(word => word.Text));
        Assert.All(words.Words, word => Assert.Equal(word.Text, Text[word.Start..word.End]));
        Assert.Empty(TextWords.Split(" \n").Words);
        Assert.Equal(["a", "\uD800"], TextWords.Split("a \uD800").Words.Select(word => word.Text));
        TextWords joined = TextWords.Join(["a", "", "b,"]);
        Assert.Equal("a  b,", joined.Text);
        Assert.Equal([(0, 1), (2, 2), (3, 5)], joined.Words.Select(word => (word.Start, word.End)));
        Assert.Equal([["a", "b"], []], TokenClassificationData.LoadTexts(_folder.Write("words.jsonl", "{\"tokens\": [\"a\", \"b\"], \"labels\": [9, 9]}\n{\"tokens\": []}"))
            .Select(text => text.Words.Select(word => word.Text).ToArray()));
        Assert.Equal(["x", ".", "y"], TokenClassificationData.LoadTexts(_folder.Write("texts.txt", "x. y\n")).Single().Words.Select(word => word.Text));
        string pairs = _folder.Write("pairs.jsonl", """{"text": "a", "text_pair": "b"}""");
        Assert.Contains("no pair", Assert.Throws<DeloraFormatException>(() => TokenClassificationData.LoadTexts(pairs)).Message, StringComparison.Ordinal);
    }
}
