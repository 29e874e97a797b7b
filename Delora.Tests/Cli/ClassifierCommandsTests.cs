using System.Text.Json;
using Delora.Cli;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests;

/// <summary>From a bare encoder to a classifier in use, by the command line alone.</summary>
public sealed class ClassifierCommandsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _encoder, _data;

    public ClassifierCommandsTests()
    {
        string[] words = ["good", "bad"];
        IEnumerable<string> lines = Enumerable.Range(0, 24).Select(i => $"\"the {i % 5} cats, are {words[i % 2]}\",{words[i % 2]}\n");
        _data = _folder.Write("data.csv", "text,label\n" + string.Concat(lines));
        TextTokenizer tokenizer = BpeTrainer.Train([File.ReadAllText(_data)], 290);
        _encoder = _folder.File("encoder");
        int special = tokenizer.EndId!.Value;
        EncoderConfig config = TinyEncoder.Config(RobertaConfig.Family, EncoderHead.None) with
        {
            VocabSize = tokenizer.VocabularySize,
            PadTokenId = special,
            MaxPositionEmbeddings = special + 41,
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
        CliRun made = await CliRun.Of("add-head", "--model", _encoder, "--data", _data, "--out", Classifier, "--seed", "4");
        Assert.Equal(ExitCode.Success, made.ExitCode);
        Assert.Contains("new, to be trained: classifier.dense.weight", made.Error, StringComparison.Ordinal);
        Assert.Contains("Labels: bad, good", made.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(Classifier, "tokenizer.json")));
        foreach (string folder in (string[])[_encoder, Classifier])
            Assert.Matches("Weights: .*int8 × [0-9]+ layers, .* relative error", await CliRun.Succeeds("inspect", folder, "--weights", "int8"));

        string plan = await CliRun.Succeeds(Train("out", "--eval-data", _data, "--steps", "30", "--dry-run"));
        Assert.Matches("Frozen weights [(].*Peak of the run +[0-9.]+ KiB", plan.ReplaceLineEndings(" "));
        Assert.False(Directory.Exists(_folder.File("out")));
        string text = await CliRun.Succeeds(Train("out", "--eval-data", _data, "--steps", "30"));
        Assert.Matches("Data: .*data.csv, 24 texts of up to [0-9]+ tokens", text);
        Assert.Matches(@"evaluation after step 30: loss [0-9.]+, accuracy 100\.00 %, macro F1 1\.0000", text);
        Assert.Contains("texts/s", text, StringComparison.Ordinal);
        Assert.Contains("Use it: delora classify --model", text, StringComparison.Ordinal);
        string adapter = _folder.File("out");
        Assert.Equal("SEQ_CLS", AdapterConfig.Load(Path.Combine(adapter, AdapterConfig.FileName)).TaskType);

        string scores = await CliRun.Succeeds("eval", "--model", Classifier, "--adapter", adapter, "--data", _data, "--device", "cpu");
        Assert.Matches(@"base: loss [0-9.]+, accuracy [0-9.]+ %, macro F1 [0-9.]+, 24 texts", scores);
        Assert.Matches(@"with the adapter: loss [0-9.]+, accuracy 100\.00 %, macro F1 1\.0000, 24 texts", scores);

        string[] use =
        [
            "classify", "--model", Classifier, "--adapter", adapter, "--device", "cpu", "--text", "the 2 cats, are good", "--text", "the 3 cats, are bad",
        ];
        string[] lines = (await CliRun.Succeeds(use)).TrimEnd().Split(Environment.NewLine);
        Assert.Matches(@"^good 0\.[5-9][0-9]{3}, bad 0\.[0-9]{4}$", lines[0]);
        Assert.StartsWith("bad ", lines[1], StringComparison.Ordinal);
        Assert.Equal(["good", "bad"], (await CliRun.Succeeds([.. use, "--top", "1"])).TrimEnd().Split(Environment.NewLine).Select(line => line.Split(' ')[0]));
        string json = await CliRun.Succeeds([.. use, "--json"]);
        foreach (JsonElement[] labels in json.TrimEnd().Split(Environment.NewLine).Select(line => JsonSerializer.Deserialize<JsonElement[]>(line)!))
            Assert.Equal(1, labels.Sum(label => label.GetProperty("score").GetDouble()), 1e-6);
        Assert.Equal(24, (await CliRun.Succeeds("classify", "--model", Classifier, "--device", "cpu", "--data", _data, "--batch", "5")).Count(c => c == '\n'));

        await CliRun.Succeeds("merge", "--model", Classifier, "--adapter", adapter, "--out", _folder.File("merged"), "--device", "cpu");
        use[2] = _folder.File("merged");
        Assert.Equal(lines, (await CliRun.Succeeds([.. use[..3], .. use[5..]])).TrimEnd().Split(Environment.NewLine));
        Assert.Contains("roberta", await CliRun.Succeeds("inspect", _folder.File("merged")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnInterruptedRunThatGoesOnEndsAsAnUninterruptedOne()
    {
        await CliRun.Of("add-head", "--model", _encoder, "--labels", "good, bad", "--out", Classifier);
        string[] evaluation = ["--eval-data", _data, "--eval-every", "3", "--steps", "6", "--dropout", "0.1"];
        await CliRun.Succeeds(Train("whole", evaluation));
        Assert.Equal(ExitCode.Interrupted, (await CliRun.InterruptedAt("evaluation after step 3", Train("parts", evaluation))).ExitCode);
        await CliRun.Succeeds(Train("parts", [.. evaluation, "--resume"]));
        Assert.Equal(File.ReadAllBytes(_folder.File("whole/adapter_model.safetensors")), File.ReadAllBytes(_folder.File("parts/adapter_model.safetensors")));
    }

    [Fact]
    public async Task VectorsAreWrittenAsJsonLines()
    {
        string[] embed = ["embed", "--model", _encoder, "--device", "cpu", "--data", _folder.Write("texts.txt", "the cats\nare good\nbad\n")];
        (string Text, float[] Vector)[] rows = await Rows(embed);
        Assert.Equal(["the cats", "are good", "bad"], rows.Select(row => row.Text));
        Assert.All(rows, row => Assert.Equal(1, Math.Sqrt(row.Vector.Sum(x => (double)x * x)), 1e-5));
        Assert.All(rows, row => Assert.Equal(24, row.Vector.Length));
        (string Text, float[] Vector)[] alone = await Rows(["embed", "--model", _encoder, "--device", "cpu", "--text", "bad"]);
        foreach ((float a, float b) in rows[2].Vector.Zip(alone[0].Vector)) Assert.Equal(a, b, 1e-5f);
        Assert.NotEqual(rows[0].Vector, (await Rows([.. embed, "--pooling", "cls"]))[0].Vector);
        Assert.NotEqual(1, (await Rows([.. embed, "--no-normalize"]))[0].Vector.Sum(x => (double)x * x), 1e-3);

        // What sentence-transformers lays beside a model counts where nothing is asked for.
        (string Text, float[] Vector)[] cls = await Rows([.. embed, "--pooling", "cls"]);
        _folder.Write("encoder/modules.json", """
            [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
             {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
            """);
        _folder.Write("encoder/1_Pooling/config.json", """{"word_embedding_dimension": 24, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}""");
        Assert.Equal(cls[0].Vector, (await Rows(embed))[0].Vector);
        Assert.Equal(rows[0].Vector, (await Rows([.. embed, "--pooling", "mean"]))[0].Vector);
        _folder.Write("encoder/sentence_bert_config.json", """{"max_seq_length": 1}""");
        (string Text, float[] Vector)[] first = await Rows([.. embed, "--pooling", "mean"]);
        foreach ((float a, float b) in (await Rows([.. embed, "--pooling", "mean", "--length", "1"]))[0].Vector.Zip(first[0].Vector)) Assert.Equal(a, b);
        Assert.NotEqual(rows[0].Vector, first[0].Vector);

        static async Task<(string Text, float[] Vector)[]> Rows(string[] arguments) =>
        [
            .. (await CliRun.Succeeds(arguments)).TrimEnd().Split(Environment.NewLine).Select(line => JsonSerializer.Deserialize<JsonElement>(line))
                .Select(row => (row.GetProperty("text").GetString()!, row.GetProperty("embedding").Deserialize<float[]>()!)),
        ];
    }

    [Fact]
    public async Task AMergedFolderEmbedsAsModelAndAdapter()
    {
        _folder.Write("encoder/modules.json", """
            [{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
            """);
        _folder.Write("encoder/1_Pooling/config.json", """{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}""");
        _folder.Write("encoder/sentence_bert_config.json", """{"max_seq_length": 4}""");
        string adapter = _folder.File("adapter"), merged = _folder.File("merged");
        using (TextEncoder model = TextEncoder.Load(_encoder, Devices.Cpu))
        using (PeftModel peft = new(model))
        {
            peft.AddAdapter(new DeloraConfig { R = 2, InitWeights = false }, new Generator(3));
            peft.Save(adapter);
        }
        string[] merge = ["merge", "--model", _encoder, "--adapter", adapter, "--out", merged, "--device", "cpu"];
        await CliRun.Succeeds(merge);
        float[] together = await Vector("--model", _encoder, "--adapter", adapter);
        Assert.All(together.Zip(await Vector("--model", merged)), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
        foreach (string[] other in (string[][])[["--model", _encoder], ["--model", merged, "--pooling", "mean"], ["--model", merged, "--length", "9"]])
            Assert.Contains(together.Zip(await Vector(other)), pair => Math.Abs(pair.First - pair.Second) > 1e-3);

        // What the source no longer has goes; where it never was, nothing is to be removed.
        Directory.Delete(_folder.File("encoder/1_Pooling"), recursive: true);
        File.Delete(_folder.File("encoder/modules.json"));
        await CliRun.Succeeds(merge);
        Assert.Equal(new EmbeddingSettings(Pooling.Mean, 4), EmbeddingSettings.Load(merged));
        Assert.False(File.Exists(Path.Combine(merged, "1_Pooling", "config.json")));

        async Task<float[]> Vector(params string[] options) =>
            JsonSerializer.Deserialize<JsonElement>(await CliRun.Succeeds(["embed", .. options, "--device", "cpu", "--text", "the 2 cats, are good and bad"]))
                .GetProperty("embedding").Deserialize<float[]>()!;
    }

    [Fact]
    public async Task WhatDoesNotGoTogetherIsRefused()
    {
        string out1 = _folder.File("new");
        await CliRun.Refused("delora add-head makes one of an encoder", "classify", "--model", _encoder, "--text", "x", "--device", "cpu");
        await CliRun.Refused("is no language model that is supported", "generate", "--model", _encoder, "--prompt", "x", "--device", "cpu");
        await CliRun.Refused("either --text or --data is wanted", "embed", "--model", _encoder);
        await CliRun.Refused("--pair is the second text of one --text", "embed", "--model", _encoder, "--text", "x", "--text", "y", "--pair", "z");
        await CliRun.Refused("a text has no token", "embed", "--model", _encoder, "--text", "", "--device", "cpu");
        await CliRun.Refused("--length 41: the model's context holds 40 tokens", "embed", "--model", _encoder, "--text", "x", "--length", "41");
        // Not that its labels are none of the model's.
        await CliRun.Refused("a classifier is wanted", "eval", "--model", _encoder, "--data", _data, "--device", "cpu");
        await CliRun.Refused("either --labels or --data is wanted", "add-head", "--model", _encoder, "--out", out1);
        await CliRun.Refused("'a' is there twice", "add-head", "--model", _encoder, "--labels", "a,b,a", "--out", out1);
        await CliRun.Refused("is not empty", "add-head", "--model", _encoder, "--labels", "a,b", "--out", _folder.Path);
        await CliRun.Refused("is the model's folder", "add-head", "--model", _encoder, "--labels", "a,b", "--out", _encoder);
        Assert.False(Directory.Exists(out1));

        await CliRun.Of("add-head", "--model", _encoder, "--labels", "a,b", "--out", Classifier);
        await CliRun.Refused("line 2: label: 'good' is none of the model's labels: a, b", Train("out", "--steps", "1"));
        string[] good = Train("out", "--steps", "1", "--eval-data", _folder.Write("empty.csv", "text,label\n"));
        good[Array.IndexOf(good, "--data") + 1] = _folder.Write("ab.csv", "text,label\nx,a\n");
        await CliRun.Refused("holds no text", good);
        Assert.False(Directory.Exists(_folder.File("out")));
    }

    private string[] Train(string output, params string[] more) =>
    [
        "train", "--model", Classifier, "--data", _data, "--out", _folder.File(output), "--device", "cpu", "--batch", "6", "--rank", "2",
        "--lr", "0.02", .. more,
    ];
}
