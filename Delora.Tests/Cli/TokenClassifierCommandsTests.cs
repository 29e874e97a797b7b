using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Delora.Cli;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests;

/// <summary>From a bare encoder to a classifier of words in use, by the command line alone.</summary>
public sealed class TokenClassifierCommandsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _encoder, _data;

    public TokenClassifierCommandsTests()
    {
        string[] animals = ["cat", "dog"], places = ["mat", "hill"];
        _data = _folder.Write("data.jsonl", string.Concat(Enumerable.Range(0, 24).Select(i => i % 2 == 0
            ? $$"""{"tokens": ["The", "{{animals[i / 2 % 2]}}", "sat", "on", "a", "{{places[i / 4 % 2]}}", "."], "labels": ["O", "B-ANI", "O", "O", "B-LOC", "I-LOC", "O"]}""" + "\n"
            : $$"""{"tokens": ["A", "{{places[i / 2 % 2]}}", "has", "one", "{{animals[i / 4 % 2]}}"], "labels": ["B-LOC", "I-LOC", "O", "O", "B-ANI"]}""" + "\n")));
        TextTokenizer tokenizer = BpeTrainer.Train(["The cat sat on a mat . The dog sat on a hill . A mat has one dog"], 290);
        _encoder = _folder.File("encoder");
        int special = tokenizer.EndId!.Value;
        EncoderConfig config = TinyEncoder.Config(RobertaConfig.Family, EncoderHead.None) with
        {
            VocabSize = tokenizer.VocabularySize,
            PadTokenId = special,
            MaxPositionEmbeddings = special + 41,
            InitializerRange = 0.15,
        };
        using TextEncoder encoder = TextEncoder.Create(config, Devices.Cpu, new Generator(3));
        encoder.Save(_encoder);
        tokenizer.Save(_encoder);
    }

    private string Classifier => _folder.File("classifier");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task AClassifierIsMadeTrainedScoredUsedAndMerged()
    {
        string adapter = _folder.File("out"), merged = _folder.File("merged"), lora = _folder.File("lora");
        CliRun made = await CliRun.Of("add-head", "--model", _encoder, "--task", "token-classification", "--data", _data, "--out", Classifier, "--max-shard-size", "20KB");
        Assert.Equal(ExitCode.Success, made.ExitCode);
        Assert.Contains("Labels: B-ANI, B-LOC, I-LOC, O", made.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(Classifier, WeightFiles.IndexName)));

        string text = await CliRun.Succeeds(
            "train", "--model", Classifier, "--data", _data, "--out", adapter, "--device", "cpu", "--batch", "6", "--rank", "4", "--lr", "0.02", "--lambda", "2",
            "--eval-data", _data, "--steps", "100", "--targets", "query,value,output.dense");
        Assert.Matches("Data: .*data.jsonl, 24 texts of up to [0-9]+ tokens, 144 words with labels", text);
        Assert.True(Regex.IsMatch(text, @"evaluation after step 100: loss [0-9.]+, accuracy 100\.00 % of words, macro F1 1\.0000 over words, F1 1\.0000 over entities"), text);
        Assert.Contains("Use it: delora classify --model", text, StringComparison.Ordinal);
        Assert.Equal("TOKEN_CLS", AdapterConfig.Load(Path.Combine(adapter, AdapterConfig.FileName)).TaskType);

        string with = await Evaluated(Classifier, "with the adapter", "--adapter", adapter);
        await CliRun.Succeeds("merge", "--model", Classifier, "--adapter", adapter, "--out", merged, "--device", "cpu", "--max-shard-size", "20KB");
        Assert.True(File.Exists(Path.Combine(merged, WeightFiles.IndexName)));
        Assert.Equal(with, await Evaluated(merged, "base"));
        await CliRun.Succeeds("export", "lora", adapter, lora);
        Assert.Equal(with, await Evaluated(Classifier, "with the adapter", "--adapter", lora));

        string[] use = ["classify", "--model", Classifier, "--adapter", adapter, "--device", "cpu"];
        string[] lines = (await CliRun.Succeeds([.. use, "--text", "The \U0001F600 cat.", "--text", "A hill"])).Split(Environment.NewLine);
        Assert.Equal(["The", "\U0001F600", "cat", ".", "", "A", "hill", "", ""], lines.Select(line => line.Split('\t')[0]));
        Assert.Equal(["0 3", "4 5", "6 9", "9 10"], lines[..4].Select(line => string.Join(' ', line.Split('\t')[3..])));
        Assert.Matches(@"^hill\tI-LOC\t0\.[0-9]{4}\t2\t6$", lines[6]);
        JsonElement json = JsonSerializer.Deserialize<JsonElement>(await CliRun.Succeeds([.. use, "--text", "A hill", "--json"]));
        Assert.Equal(("I-LOC", "hill", 2, 6), (
            json[1].GetProperty("entity").GetString(), json[1].GetProperty("word").GetString(), json[1].GetProperty("start").GetInt32(), json[1].GetProperty("end").GetInt32()));
        // The file that was trained on has words and labels; the labels are passed over.
        string[] labels = [.. (await CliRun.Succeeds([.. use, "--data", _data, "--batch", "5"])).Split(Environment.NewLine).Take(7).Select(line => line.Split('\t')[1])];
        Assert.Equal(["O", "B-ANI", "O", "O", "B-LOC", "I-LOC", "O"], labels);
        CliRun cut = await CliRun.Of([.. use, "--text", "A hill has one dog", "--length", "2"]);
        Match without = Regex.Match(cut.Error, "([1-4]) of 5 words have no label: they lie beyond 2 tokens");
        Assert.True(without.Success, cut.Error);
        // A line for each of the others, and the empty one.
        Assert.Equal(6 - int.Parse(without.Groups[1].Value, CultureInfo.InvariantCulture), cut.Output.Count(c => c == '\n'));

        float[] alone = await Vector("--model", Classifier), tuned = await Vector("--model", Classifier, "--adapter", adapter);
        Assert.All(tuned.Zip(await Vector("--model", merged)), pair => Assert.Equal(pair.First, pair.Second, 1e-4f));
        Assert.Contains(tuned.Zip(alone), pair => Math.Abs(pair.First - pair.Second) > 1e-3);

        async Task<string> Evaluated(string model, string name, params string[] more) =>
            (await CliRun.Succeeds(["eval", "--model", model, "--data", _data, "--device", "cpu", .. more])).Split(Environment.NewLine)
                .Single(line => line.StartsWith(name + ":", StringComparison.Ordinal))[(name.Length + 1)..].Split(", 144 words")[0];

        async Task<float[]> Vector(params string[] options)
        {
            // A head that is left out is told of.
            CliRun run = await CliRun.Of(["embed", .. options, "--device", "cpu", "--text", "The cat sat"]);
            Assert.Equal(ExitCode.Success, run.ExitCode);
            return JsonSerializer.Deserialize<JsonElement>(run.Output).GetProperty("embedding").Deserialize<float[]>()!;
        }
    }

    [Fact]
    public async Task StandardInputIsAnsweredBatchByBatch()
    {
        await CliRun.Of("add-head", "--model", _encoder, "--labels", "a,b", "--out", Classifier);
        string[] lines = (await Fed("The cat\n\nA hill\n", "classify", "--model", Classifier)).Output.TrimEnd().Split(Environment.NewLine);
        string[] named = (await CliRun.Succeeds("classify", "--model", Classifier, "--text", "The cat", "--text", "A hill", "--device", "cpu", "--batch", "1"))
            .TrimEnd().Split(Environment.NewLine);
        Assert.Equal(named, lines);
        CliRun embedded = await Fed("The cat\r\nA hill", "embed", "--model", _encoder);
        Assert.Equal(["The cat", "A hill"], embedded.Output.TrimEnd().Split(Environment.NewLine)
            .Select(line => JsonSerializer.Deserialize<JsonElement>(line).GetProperty("text").GetString()));
        CliRun wrong = await Fed("x\n\u00ff\n", "embed", "--model", _encoder);
        Assert.Equal((ExitCode.BadInput, "delora: standard input: is not UTF-8"), (wrong.ExitCode, wrong.Error.TrimEnd()));

        // Latin 1 is UTF-8 as long as it is ASCII.
        static async Task<CliRun> Fed(string input, params string[] arguments)
        {
            using StringWriter output = new(), error = new();
            int code = await CliApplication.Default.RunAsync(
                [.. arguments, "--data", "-", "--batch", "1", "--device", "cpu"], output, error, TestContext.Current.CancellationToken,
                openInput: () => new MemoryStream(System.Text.Encoding.Latin1.GetBytes(input)));
            return new CliRun(code, output.ToString(), error.ToString());
        }
    }

    [Fact]
    public async Task WhatDoesNotGoTogetherIsRefused()
    {
        await CliRun.Refused("--problem belongs to --task sequence-classification", "add-head", "--model", _encoder, "--task", "token-classification",
            "--labels", "a,b", "--problem", "several", "--out", Classifier);
        await CliRun.Of("add-head", "--model", _encoder, "--task", "token-classification", "--labels", "a,b", "--out", Classifier);
        await CliRun.Refused("line 1: labels[0]: 'O' is none of the model's labels: a, b", "eval", "--model", Classifier, "--data", _data, "--device", "cpu");
        await CliRun.Refused("--top belongs to classifiers of texts", "classify", "--model", Classifier, "--text", "x", "--top", "1");
        await CliRun.Refused("labels one text, no pair", "classify", "--model", Classifier, "--text", "x", "--pair", "y");
        await CliRun.Refused("--special-tokens belongs to language models", "eval", "--model", Classifier, "--data", _data, "--special-tokens");
        foreach (string file in Directory.GetFiles(Classifier, "tokenizer*")) File.Delete(file);
        File.WriteAllText(Path.Combine(Classifier, "vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nx\n");
        await CliRun.Refused("--length 1: the special tokens that", "classify", "--model", Classifier, "--text", "x", "--length", "1", "--device", "cpu");
        await CliRun.Refused("a number of bytes", "add-head", "--model", _encoder, "--labels", "a", "--out", _folder.File("new"), "--max-shard-size", "5XB");
    }
}
