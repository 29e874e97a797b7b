using System.Diagnostics.CodeAnalysis;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn;

/// <summary>A classifier learns what there is to learn, goes on after an interruption to the last bit, and is scored as defined.</summary>
[SuppressMessage("Usage", "xUnit1051", Justification = "The runs take milliseconds; those that are cancelled cancel by themselves.")]
public sealed class ClassifierTunerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, ClassificationProblem> Problems =>
        [.. from family in (string[])[BertConfig.Family, RobertaConfig.Family]
            from problem in Enum.GetValues<ClassificationProblem>() select (family, problem)];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Problems))]
    public void AClassifierLearnsAndItsFolderGivesTheSameAnswers(string family, ClassificationProblem problem)
    {
        using SequenceClassifier model = Model(family, problem);
        ClassificationRows rows = Rows(model.Config);
        ClassificationEvaluation before = ClassificationEvaluation.Of(model, rows, Options().BatchSize), after;
        FineTuningOptions options = Options() with { Steps = 60, LearningRate = 0.02 };
        using (var tuner = new ClassifierTuner(model, rows, options, rows))
        {
            Assert.Contains(tuner.Peft.TrainableParameters(), entry => entry.Name.Contains("classifier.modules_to_save.default.", StringComparison.Ordinal));
            tuner.Run(_folder.File("out"));
            Assert.Equal([0, 60], tuner.Evaluations.Select(entry => entry.Step));
            Assert.Equal(before, tuner.Evaluations[0].Evaluation);
            after = tuner.Evaluations[1].Evaluation;
        }
        Assert.True(after.Loss < 0.3 * before.Loss, $"{before} {after}");
        if (problem != ClassificationProblem.Regression) Assert.Equal((1.0, 1.0), (after.Accuracy, after.MacroF1));
        Assert.Equal(before, ClassificationEvaluation.Of(model, rows, Options().BatchSize));
        // Whatever the batches, and with that the padding.
        Assert.Equal(before.Loss, ClassificationEvaluation.Of(model, rows, 7).Loss, 1e-6);
        using var peft = new PeftModel(model);
        peft.Load(_folder.File("out"));
        Assert.Equal("SEQ_CLS", peft.Configs[PeftModel.DefaultAdapter].TaskType);
        Assert.Equal(after, ClassificationEvaluation.Of(model, rows, Options().BatchSize));
    }

    [Theory, InlineData(BertConfig.Family), InlineData(RobertaConfig.Family)]
    public void AnInterruptedRunEndsWithTheSameBits(string family)
    {
        Run("whole", null, false);
        Run("parts", 3, false);
        Run("parts", null, true);
        Assert.Equal(
            File.ReadAllBytes(_folder.File("whole/" + PeftModel.WeightsFileName)), File.ReadAllBytes(_folder.File("parts/" + PeftModel.WeightsFileName)));

        void Run(string output, int? stopAfter, bool resume)
        {
            // With dropout of the model, whose masks come from the run's random numbers.
            using SequenceClassifier model = Model(family, ClassificationProblem.SingleLabel, dropout: 0.2);
            Generator own = model.DropoutGenerator;
            using (var tuner = new ClassifierTuner(model, Rows(model.Config), Options(), Rows(model.Config)))
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
    public void OtherDataAreNotGoneOnWith()
    {
        using SequenceClassifier model = Model(BertConfig.Family, ClassificationProblem.SingleLabel);
        using (var tuner = new ClassifierTuner(model, Rows(model.Config), Options())) tuner.Run(_folder.File("out"));
        using var other = new ClassifierTuner(model, Rows(model.Config, seed: 9), Options());
        var error = Assert.Throws<DeloraFormatException>(() => other.Run(_folder.File("out"), resume: true));
        Assert.Contains("training data was", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LabelsOfAnotherKindAreRefused()
    {
        using SequenceClassifier model = Model(BertConfig.Family, ClassificationProblem.Regression);
        ClassificationRows single = ClassificationRows.Of(model.Config with { Problem = null }, [new EncodedText(4)], [1]);
        var error = Assert.Throws<ArgumentException>(() => new ClassifierTuner(model, single, Options()));
        Assert.Contains("for SingleLabel, the model is for Regression", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(model.NamedModules(), entry => entry.Module is Linear linear && linear.Adapters.Names.Any());
        Assert.Throws<IndexException>(() => ClassificationRows.Of(model.Config, [new EncodedText(4)], [3]));
        Assert.Throws<ShapeException>(() => ClassificationRows.Of(model.Config, [new EncodedText(4)], [1, 2]));
        Assert.Throws<ShapeException>(() => ClassificationRows.Of(model.Config, [new EncodedText()], [1]));
        Assert.Throws<ShapeException>(() => ClassificationRows.Of(model.Config, [new EncodedText(4)], [[1f, 2f]]));
        Assert.Throws<ArgumentException>(() => ClassificationRows.Of(model.Config, [new EncodedText(4)], [[1f, 2f, float.NaN]]));
        Assert.Throws<ArgumentException>(() => ClassificationRows.Of(model.Config with { Problem = null }, [new EncodedText(4)], [[1f, 2f, 0f]]));
    }

    /// <summary>Nothing in its folder would say that it gives several labels.</summary>
    [Fact]
    public void SeveralLabelsForAModelWhoseProblemIsOpenAreTold()
    {
        List<string> warnings = [];
        foreach (ClassificationProblem? problem in (ClassificationProblem?[])[ClassificationProblem.MultiLabel, null])
        {
            Assert.Empty(warnings);
            using SequenceClassifier model = TinyEncoder.Classifier(TinyEncoder.Config(BertConfig.Family) with { Problem = problem });
            ClassificationRows rows = Rows(model.Config with { Problem = ClassificationProblem.MultiLabel });
            using var tuner = new ClassifierTuner(model, rows, Options(), warn: warnings.Add);
        }
        Assert.Contains("problem_type is open", Assert.Single(warnings), StringComparison.Ordinal);
        using SequenceClassifier open = TinyEncoder.Classifier(TinyEncoder.Config(BertConfig.Family) with { Problem = null });
        using var single = new ClassifierTuner(
            open, Rows(open.Config with { Problem = ClassificationProblem.SingleLabel }), Options(), warn: warnings.Add);
        Assert.Single(warnings);
    }

    [Fact]
    public void BatchesAreAsLongAsTheLongestOfTheirTexts()
    {
        EncoderConfig config = TinyEncoder.Config(RobertaConfig.Family);
        ClassificationRows rows = ClassificationRows.Of(config, [new EncodedText(4, 5), new EncodedText([6, 7, 8], [0, 1, 1]), new EncodedText(9)], [2, 0, 1]);
        ClassificationBatch batch = rows.Take(2, 0, 2);
        Assert.Equal([9, 1, 4, 5, 9, 1], batch.Inputs.AllIds);
        Assert.Equal([1, 0, 1, 1, 1, 0], batch.Inputs.Mask);
        Assert.Equal([1, 2, 1], batch.Labels!);
        Assert.Equal((3, 3, 9), (rows.Count, rows.Longest, rows.LargestId));
        Assert.Equal([0, 1, 1], rows.Take(1).Inputs.TokenTypes);
        Assert.Throws<ArgumentOutOfRangeException>(() => rows.Take(3));
    }

    [Fact]
    public void ScoresAreThoseOfScikitLearn()
    {
        using SequenceClassifier model = Model(BertConfig.Family, ClassificationProblem.SingleLabel);
        EncodedText[] texts = TinyEncoder.Texts(5, [.. Enumerable.Range(0, 30).Select(i => 1 + i % 7)]);
        int[] given = Predictions(model, texts), wanted = [.. given.Select((label, i) => i % 3 == 0 ? (label + 1) % 3 : label)];
        ClassificationEvaluation got = ClassificationEvaluation.Of(model, ClassificationRows.Of(model.Config, texts, wanted), 8);
        Assert.Equal(20 / 30.0, got.Accuracy!.Value, 1e-12);
        double[] f1 = [.. Enumerable.Range(0, 3).Where(label => given.Contains(label) || wanted.Contains(label)).Select(label =>
        {
            double right = given.Zip(wanted).Count(pair => pair == (label, label));
            double precision = right / given.Count(x => x == label), recall = right / wanted.Count(x => x == label);
            return right == 0 ? 0 : 2 * precision * recall / (precision + recall);
        })];
        Assert.Equal(f1.Average(), got.MacroF1!.Value, 1e-12);
        Assert.Equal(30, got.Texts);
    }

    [Fact]
    public void SeveralLabelsATextAreScoredOneByOne()
    {
        using SequenceClassifier model = Model(BertConfig.Family, ClassificationProblem.MultiLabel);
        EncodedText[] texts = TinyEncoder.Texts(5, [.. Enumerable.Range(0, 30).Select(i => 1 + i % 7)]);
        bool[][] given;
        using (var scope = new TensorScope("scores"))
            given = [.. texts.Select(text => model.Forward(EncodedBatch.Pad([text], 0)).ToArray<double>().Select(score => score > 0).ToArray())];
        // Every third text has another label 1.
        float[][] wanted = [.. given.Select((labels, i) => labels.Select((label, j) => label ^ (j == 1 && i % 3 == 0) ? 1f : 0f).ToArray())];
        ClassificationEvaluation got = ClassificationEvaluation.Of(model, ClassificationRows.Of(model.Config, texts, wanted), 8);
        Assert.Equal(20 / 30.0, got.Accuracy!.Value, 1e-12);
        double[] f1 = [.. Enumerable.Range(0, 3).Select(label =>
        {
            double right = given.Zip(wanted).Count(pair => pair.First[label] && pair.Second[label] == 1);
            return right == 0 ? 0 : 2 * right / (given.Count(x => x[label]) + wanted.Count(x => x[label] == 1));
        })];
        Assert.Equal(f1.Average(), got.MacroF1!.Value, 1e-12);
    }

    private static int[] Predictions(SequenceClassifier model, EncodedText[] texts)
    {
        using var scope = new TensorScope("predictions");
        return [.. texts.Select(text => model.Forward(EncodedBatch.Pad([text], 0)).ToArray<double>()).Select(s => Array.IndexOf(s, s.Max()))];
    }

    private static FineTuningOptions Options() => new()
    {
        Adapter = new DeloraConfig { R = 2, DeloraLambda = 2, TaskType = "SEQ_CLS", TargetModules = ModuleSelector.AllLinear },
        Steps = 6,
        BatchSize = 6,
        LearningRate = 0.01,
        WarmupSteps = 2,
        Seed = 5,
    };

    private static SequenceClassifier Model(string family, ClassificationProblem problem, double dropout = 0) =>
        TinyEncoder.Classifier(TinyEncoder.Config(family) with { Problem = problem, HiddenDropoutProb = dropout, InitializerRange = 0.15 });

    /// <summary>Texts of random tokens; which of the tokens 4, 5 and 6 stands in front is the label.</summary>
    private static ClassificationRows Rows(EncoderConfig config, int seed = 3)
    {
        int[] labels = [.. Enumerable.Range(0, 24).Select(i => i % 3)];
        EncodedText[] texts = [.. TinyEncoder.Texts(seed, [.. labels.Select((_, i) => 2 + i % 5)])
            .Select((text, i) => new EncodedText([4 + labels[i], .. text.Ids[1..]]))];
        return config.Problem == ClassificationProblem.SingleLabel
            ? ClassificationRows.Of(config, texts, labels)
            : ClassificationRows.Of(config, texts, labels.Select(label => Enumerable.Range(0, 3).Select(i => i == label ? 0f : 1f).ToArray()));
    }

    private sealed class Watch(Action<TrainingProgress> told) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => told(value);
    }
}
