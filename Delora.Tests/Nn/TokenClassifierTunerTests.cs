using System.Diagnostics.CodeAnalysis;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn;

/// <summary>A classifier of tokens learns what there is to learn, goes on after an interruption to the last bit, and is scored as defined.</summary>
[SuppressMessage("Usage", "xUnit1051", Justification = "The runs take milliseconds; those that are cancelled cancel by themselves.")]
public sealed class TokenClassifierTunerTests : IDisposable
{
    private static readonly string[] s_labels = ["O", "B-X", "I-X"];
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory, InlineData(BertConfig.Family), InlineData(RobertaConfig.Family)]
    public void AClassifierLearnsAndItsFolderGivesTheSameAnswers(string family)
    {
        using TokenClassifier model = Model(family);
        TokenClassificationRows rows = Rows(model.Config);
        TokenClassificationEvaluation before = TokenClassificationEvaluation.Of(model, rows, 6), after;
        using (var tuner = new TokenClassifierTuner(model, rows, Options() with { Steps = 60, LearningRate = 0.02 }, rows))
        {
            Assert.Contains(tuner.Peft.TrainableParameters(), entry => entry.Name.Contains("classifier.modules_to_save.default.", StringComparison.Ordinal));
            tuner.Run(_folder.File("out"));
            Assert.Equal(before, tuner.Evaluations[0].Evaluation);
            after = tuner.Evaluations[1].Evaluation;
        }
        Assert.True(after.Loss < 0.3 * before.Loss, $"{before} {after}");
        Assert.Equal((1.0, 1.0, new EntityScore(1, 1)), (after.Accuracy, after.MacroF1, after.Entities));
        // Whatever the batches, and with that the padding.
        Assert.Equal(before.Loss, TokenClassificationEvaluation.Of(model, rows, 7).Loss, 1e-6);
        using var peft = new PeftModel(model);
        peft.Load(_folder.File("out"));
        Assert.Equal("TOKEN_CLS", peft.Configs[PeftModel.DefaultAdapter].TaskType);
        Assert.Equal(after, TokenClassificationEvaluation.Of(model, rows, 6));
        peft.Merge();
        Assert.Equal(after.Loss, TokenClassificationEvaluation.Of(model, rows, 6).Loss, 1e-5);
    }

    [Fact]
    public void AnInterruptedRunEndsWithTheSameBits()
    {
        Run("whole", null, false);
        Run("parts", 3, false);
        Run("parts", null, true);
        Assert.Equal(
            File.ReadAllBytes(_folder.File("whole/" + PeftModel.WeightsFileName)), File.ReadAllBytes(_folder.File("parts/" + PeftModel.WeightsFileName)));
        using TokenClassifier other = Model(BertConfig.Family, dropout: 0.2);
        using var tuner = new TokenClassifierTuner(other, Rows(other.Config, seed: 9), Options());
        var error = Assert.Throws<DeloraFormatException>(() => tuner.Run(_folder.File("whole"), resume: true));
        Assert.Contains("training data was", error.Message, StringComparison.Ordinal);

        void Run(string output, int? stopAfter, bool resume)
        {
            using TokenClassifier model = Model(BertConfig.Family, dropout: 0.2);
            Generator own = model.DropoutGenerator;
            using (var tuner = new TokenClassifierTuner(model, Rows(model.Config), Options(), Rows(model.Config)))
            {
                using var cancel = new CancellationTokenSource();
                if (stopAfter is null) tuner.Run(_folder.File(output), resume);
                else
                    Assert.Throws<OperationCanceledException>(() => tuner.Run(
                        _folder.File(output), resume, new Watch(report => { if (report.Step == stopAfter) cancel.Cancel(); }), cancel.Token));
            }
            Assert.Same(own, model.DropoutGenerator);
        }
    }

    [Fact]
    public void ScoresAreThoseOfTheAnswersByHand()
    {
        using TokenClassifier model = Model(BertConfig.Family);
        EncodedText[] texts = TinyEncoder.Texts(5, 4, 6, 3);
        int[][] given = [.. texts.Select(text => model.Classify(EncodedBatch.Pad([text], 0))[0].Select(label => Array.IndexOf(s_labels, label.Label)).ToArray())];
        // The first token of each text does not count, and the last but one is wrong.
        int[][] wanted = [.. given.Select(row => row.Select((label, i) => i == 0 ? -100 : i == row.Length - 2 ? (label + 1) % 3 : label).ToArray())];
        TokenClassificationRows rows = TokenClassificationRows.Of(model.Config, texts, wanted);
        TokenClassificationEvaluation got = TokenClassificationEvaluation.Of(model, rows, 2);
        Assert.Equal((10, 7 / 10.0), (got.Words, got.Accuracy));
        (int Given, int Wanted)[] pairs = [.. given.Zip(wanted).SelectMany(row => row.First.Zip(row.Second)).Where(pair => pair.Second >= 0)];
        double[] f1 = [.. Enumerable.Range(0, 3).Where(label => pairs.Any(pair => pair.Given == label || pair.Wanted == label)).Select(label =>
            2.0 * pairs.Count(pair => pair == (label, label)) / (pairs.Count(pair => pair.Given == label) + pairs.Count(pair => pair.Wanted == label)))];
        Assert.Equal(f1.Average(), got.MacroF1, 1e-12);
        double loss = 0;
        using (var scope = new TensorScope("loss"))
            foreach ((EncodedText text, int[] labels) in texts.Zip(wanted))
                loss += model.Loss(EncodedBatch.Pad([text], 0), labels).ToScalar() * (labels.Length - 1);
        Assert.Equal(loss / 10, got.Loss, 1e-6);
        // Labels of another form have no entities.
        using TokenClassifier plain = Model(BertConfig.Family, labels: ["a", "b", "c"]);
        Assert.Null(TokenClassificationEvaluation.Of(plain, rows, 2).Entities);
    }

    /// <summary>By conlleval's rules.</summary>
    [Theory]
    [InlineData("O B-A I-A O", "1-3 A")]
    [InlineData("B-A B-A I-A", "0-1 A;1-3 A")]
    [InlineData("I-A I-A I-B", "0-2 A;2-3 B")]
    [InlineData("B-A I-B O I-A", "0-1 A;1-2 B;3-4 A")]
    [InlineData("S-A B-A I-A E-A I-A", "0-1 A;1-4 A;4-5 A")]
    [InlineData("E-A E-A S-B", "0-1 A;1-2 A;2-3 B")]
    [InlineData("O X B", "")]
    [InlineData("", "")]
    public void EntitiesAreRead(string labels, string expected) =>
        Assert.Equal(expected, string.Join(';', EntitySpans.Of(labels.Split(' ')).Select(span => $"{span.Start}-{span.End} {span.Kind}")));

    [Fact]
    public void EntitiesCountWhereAllOfThemIsRight()
    {
        Assert.Equal((0.0, 0.5), (new EntityScore(0, 0).F1, new EntityScore(1, 1.0 / 3).F1));
        Assert.False(EntitySpans.AreIn(["O", "NAME"]));
        Assert.True(EntitySpans.AreIn(["O", "I-NAME"]));
    }

    private static FineTuningOptions Options() => new()
    {
        Adapter = new DeloraConfig { R = 2, DeloraLambda = 2, TaskType = "TOKEN_CLS", TargetModules = ModuleSelector.Of("query", "value", "dense") },
        Steps = 6,
        BatchSize = 6,
        LearningRate = 0.01,
        WarmupSteps = 2,
        Seed = 5,
    };

    private static TokenClassifier Model(string family, double dropout = 0, string[]? labels = null)
    {
        EncoderConfig config = TinyEncoder.Config(family, EncoderHead.TokenClassification) with
        {
            HiddenDropoutProb = dropout,
            InitializerRange = 0.15,
            Labels = [.. labels ?? s_labels],
        };
        TokenClassifier model = TokenClassifier.Create(config, Devices.Cpu, new Generator(7));
        model.Freeze();
        return model;
    }

    /// <summary>Texts of random tokens: 4 begins an entity, 5 goes on with it, and the first token counts for nothing.</summary>
    private static TokenClassificationRows Rows(EncoderConfig config, int seed = 3)
    {
        EncodedText[] texts = [.. TinyEncoder.Texts(seed, [.. Enumerable.Range(0, 24).Select(i => 4 + i % 4)]).Select((text, i) =>
        {
            int[] ids = [.. text.Ids.Select(id => Math.Max(id, 6))];
            (ids[1 + i % 2], ids[2 + i % 2]) = (4, 5);
            return new EncodedText(ids);
        })];
        return TokenClassificationRows.Of(
            config, texts, texts.Select(text => text.Ids.Select((id, i) => i == 0 ? -100 : id == 4 ? 1 : id == 5 ? 2 : 0).ToArray()));
    }

    private sealed class Watch(Action<TrainingProgress> told) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => told(value);
    }
}
