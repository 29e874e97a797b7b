using Delora.Core;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn.Text;

/// <summary>Labelled texts from files: every form that is described, and the line of what is wrong.</summary>
public sealed class ClassificationDataTests : IDisposable
{
    private static readonly TextTokenizer s_tokenizer = BpeTrainer.Train(["good bad so so good bad"], 270);

    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _warnings = [];

    private static EncoderConfig Config => TinyEncoder.Config(BertConfig.Family) with { Labels = ["bad", "so-so", "good"], VocabSize = 300 };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("x.jsonl",
        "\uFEFF{\"text\": \"a\", \"label\": \"good\"}\n\n{\"text\": \"b, \\\"c\\\"\", \"label\": 0}\r\n{\"label\": \"so-so\", \"text\": \"d\"}")]
    [InlineData("x.csv", "label,text,other\ngood,a,1\n0,\"b, \"\"c\"\"\",2\r\nso-so,d,3\n")]
    [InlineData("x.TSV", "text\tlabel\na\tgood\nb, \"c\"\t0\nd\tso-so")]
    public void LabelsAreNamesOrNumbers(string name, string contents)
    {
        if (name == "x.TSV") contents = contents.Replace("b, \"c\"", "\"b, \"\"c\"\"\"", StringComparison.Ordinal);
        ClassificationRows rows = Load(name, contents);
        ClassificationBatch batch = rows.Take(0, 1, 2);
        Assert.Equal([2, 0, 1], batch.Labels!);
        Assert.Equal([.. s_tokenizer.Encode("b, \"c\"", s_tokenizer.AddsBegin)], rows.Take(1).Inputs.AllIds);
        Assert.Equal(name == "x.csv" ? 1 : 0, _warnings.Count(warning => warning.Contains("'other' is ignored", StringComparison.Ordinal)));
    }

    [Fact]
    public void SeveralLabelsAndNumbersFollowTheProblem()
    {
        Assert.Equal([1f, 0, 1, 0, 0, 0, 0, 1, 0], Load("x.jsonl", """
            {"text": "a", "labels": ["good", "bad"]}
            {"text": "b", "labels": []}
            {"text": "c", "labels": [1]}
            """).Take(0, 1, 2).Targets!);
        EncoderConfig several = Config with { Problem = ClassificationProblem.MultiLabel };
        Assert.Equal([1f, 0, 1, 0, 0, 0], Load("x.csv", "text,labels\na,good; bad\nb,\n", several).Take(0, 1).Targets!);
        EncoderConfig score = Config with { Labels = ["score"] };
        Assert.Equal([2.5f, -1], Load("x.jsonl", "{\"text\": \"a\", \"label\": 2.5}\n{\"text\": \"b\", \"label\": -1}", score).Take(0, 1).Targets!);
        Assert.Equal([2.5f, -1], Load("x.csv", "text,label\na,2.5\nb,-1\n", score).Take(0, 1).Targets!);
        EncoderConfig numbers = Config with { Problem = ClassificationProblem.Regression };
        Assert.Equal([1f, 2, 0.5f], Load("x.csv", "text,label\na,1;2;0.5\n", numbers).Take(0).Targets!);
    }

    [Theory]
    [InlineData("x.jsonl", "{\"text\": \"a\", \"label\": \"good\"}\n{\"text\": \"b\", \"label\": \"fine\"}",
        "line 2: label: 'fine' is none of the model's labels: bad, so-so, good")]
    [InlineData("x.jsonl", "{\"text\": \"a\", \"label\": 3}", "line 1: label: '3' is none")]
    [InlineData("x.jsonl", "{\"text\": \"a\", \"label\": \"3\"}", "line 1: label: '3' is none")]
    [InlineData("x.jsonl", "{\"text\": \"a\", \"label\": -1}", "line 1: label: '-1' is none")]
    [InlineData("x.jsonl", "{\"text\": \"a\", \"label\": 1.5}", "line 1: label: '1.5' is none")]
    [InlineData("x.jsonl", "{\"text\": \"a\", \"label\": true}", "line 1: label: must be a name, a number, or a list")]
    [InlineData("x.jsonl", "{\"text\": \"a\", \"labels\": [null]}", "line 1: labels: must hold names and numbers only")]
    [InlineData("x.jsonl", "{\"text\": \"a\", \"labels\": [\"bad\", 0]}", "holds 'bad' twice")]
    [InlineData("x.jsonl", "{\"text\": \"a\"}", "line 1: must have either 'label' or 'labels'")]
    [InlineData("x.jsonl", "{\"label\": \"bad\"}", "line 1: text: is missing")]
    [InlineData("x.jsonl", "{\"text\": \"a\", \"label\": \"bad\"", "line 1: is not valid JSON")]
    [InlineData("x.jsonl", "\n", "holds no text")]
    [InlineData("x.csv", "text,label\na,bad\nb\n", "line 3: has another number of cells")]
    [InlineData("x.csv", "text,label\n\"a\"b,bad\n", "line 2: has another number of cells than the header, or a quote")]
    [InlineData("x.csv", "text,kind\na,bad\n", "line 1: names no column 'label' or 'labels'; it names text, kind")]
    [InlineData("x.csv", "label,kind\na,bad\n", "line 1: names no column 'text'")]
    [InlineData("x.csv", "text,label,text\na,bad,b\n", "names the column 'text' twice")]
    [InlineData("x.csv", "text,label,labels\na,bad,good\n", "line 1: must name either 'label' or 'labels'")]
    [InlineData("x.csv", "", "is empty")]
    [InlineData("x.csv", "\n", "holds no header")]
    [InlineData("x.csv", "text,label\na,\n", "line 2: label: '' is none")]
    [InlineData("x.csv", "text,label\n", "holds no text")]
    [InlineData("x.txt", "a", "'.txt' can hold no labels")]
    public void WhatIsWrongIsNamedWithItsLine(string name, string contents, string expected) =>
        Assert.Contains(expected, Assert.Throws<DeloraFormatException>(() => Load(name, contents)).Message, StringComparison.Ordinal);

    [Fact]
    public void ARegressionTakesFiniteNumbersAlone()
    {
        EncoderConfig score = Config with { Labels = ["score"] };
        foreach (string value in (string[])["1e999", "\"x\"", "[1, 2]"])
            Assert.Contains(
                "line 1: label",
                Assert.Throws<DeloraFormatException>(() => Load("x.jsonl", $"{{\"text\": \"a\", \"label\": {value}}}", score)).Message,
                StringComparison.Ordinal);
        EncoderConfig one = Config with { Problem = ClassificationProblem.SingleLabel };
        Assert.Contains("holds a list", Assert.Throws<DeloraFormatException>(() => Load("x.jsonl", "{\"text\": \"a\", \"labels\": [\"bad\"]}", one)).Message,
            StringComparison.Ordinal);
        Assert.Contains("names two labels 'x'", Assert.Throws<DeloraFormatException>(() =>
            Load("x.jsonl", "{\"text\": \"a\", \"label\": \"x\"}", Config with { Labels = ["x", "x"] })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LongTextsAreCutAndEmptyOnesLeftOut()
    {
        string path = _folder.Write("x.jsonl", "{\"text\": \"abcdefgh\", \"label\": 0}\n{\"text\": \"abcd\", \"label\": 1}\n{\"text\": \"\", \"label\": 1}");
        ClassificationRows rows = ClassificationData.Load(path, s_tokenizer, Config, 4, _warnings.Add);
        Assert.Equal((2, 4), (rows.Count, rows.Longest));
        Assert.Contains(_warnings, warning => warning.Contains("1 of 3 texts have more than 4 tokens and were cut", StringComparison.Ordinal));
        Assert.Contains(_warnings, warning => warning.Contains("1 texts without a token were left out", StringComparison.Ordinal));
    }

    [Fact]
    public void TextsAloneAndLabelsAloneAreRead()
    {
        Assert.Equal([("a b", null), (" c", null)], ClassificationData.LoadTexts(_folder.Write("x.txt", "\uFEFFa b\r\n\n c")));
        string pairs = _folder.Write("x.jsonl", "{\"text\": \"a\", \"text_pair\": \"b\"}\n{\"text\": \"c\"}");
        Assert.Equal([("a", "b"), ("c", null)], ClassificationData.LoadTexts(pairs));
        Assert.Equal([("a", "b")], ClassificationData.LoadTexts(_folder.Write("x.csv", "text_pair,text\nb,a\n")));
        Assert.Equal(["10", "A", "b"], ClassificationData.LabelNames(_folder.Write("x.csv", "text,label\n1,b\n2,A\n3,b\n4,10\n")));
        Assert.Equal(["A;b", "b"], ClassificationData.LabelNames(_folder.Write("x.csv", "text,label\n1,b\n2,A;b\n")));
        Assert.Equal(["A", "b"], ClassificationData.LabelNames(_folder.Write("x.csv", "text,label\n1,b\n2,A;b\n"), several: true));
        // The numbers are those of the labels, also from ten on.
        string numbers = _folder.Write("x.jsonl", "{\"text\": \"a\", \"label\": 2}\n{\"text\": \"a\", \"label\": 11}");
        Assert.Equal(EncoderConfig.DefaultLabels(12), ClassificationData.LabelNames(numbers));
        string large = _folder.Write("y.jsonl", "{\"text\": \"a\", \"label\": 2000000000}");
        Assert.Throws<DeloraFormatException>(() => ClassificationData.LabelNames(large));
    }

    private ClassificationRows Load(string name, string contents, EncoderConfig? config = null) =>
        ClassificationData.Load(_folder.Write(name, contents), s_tokenizer, config ?? Config, 16, _warnings.Add);
}
