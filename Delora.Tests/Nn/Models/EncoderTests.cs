using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn.Models;

/// <summary>What an encoder computes: the same on every device, for texts alone and in company, with the losses and vectors as defined.</summary>
public sealed class EncoderTests
{
    public static TheoryData<string> Families => [BertConfig.Family, RobertaConfig.Family];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void EveryDeviceComputesWhatTheReferenceDoes(string name)
    {
        foreach (string family in (string[])[BertConfig.Family, RobertaConfig.Family])
        {
            OpTesting.Close(Results(family, Devices.Reference), Results(family, TestDevices.Get(name)), 1e-4);
        }
    }

    [Theory, MemberData(nameof(Families))]
    public void ATextInABatchIsComputedAsAlone(string family)
    {
        EncoderConfig config = TinyEncoder.Config(family);
        using SequenceClassifier model = TinyEncoder.Classifier(config);
        EncodedText[] texts = TinyEncoder.Texts(3, 5, 11, 1, 8);
        using var scope = new TensorScope("test");
        float[] together = model.Forward(EncodedBatch.Pad(texts, config.PadTokenId)).ToArray<float>();
        float[] alone = [.. texts.SelectMany(text => model.Forward(EncodedBatch.Pad([text], config.PadTokenId)).ToArray<float>())];
        for (int i = 0; i < alone.Length; i++) Assert.Equal(alone[i], together[i], 1e-4f);
    }

    [Fact]
    public void RobertaCountsPositionsOverTokensThatAreNoPadding()
    {
        EncoderConfig roberta = TinyEncoder.Config(RobertaConfig.Family), bert = TinyEncoder.Config(BertConfig.Family);
        // The mask hides the 9: that the token is no padding token is what counts.
        EncodedBatch batch = EncodedBatch.From([5, 6, 1, 7, 1, 8, 9, 1], [1, 1, 0, 1, 0, 1, 0, 0], null, rows: 2);
        Assert.Equal([2, 3, 1, 4, 1, 2, 3, 1], roberta.Positions(batch));
        Assert.Equal([0, 1, 2, 3, 0, 1, 2, 3], bert.Positions(batch));
        Assert.Equal((18, 20), (roberta.MaxTokens, bert.MaxTokens));
    }

    [Theory, MemberData(nameof(Families))]
    public void GradientsOfAllWeightsMatchNumericalDifferentiation(string family)
    {
        EncoderConfig config = TinyEncoder.Config(family) with
        {
            NumHiddenLayers = 1,
            HiddenSize = 6,
            NumAttentionHeads = 2,
            IntermediateSize = 5,
            VocabSize = 12,
            MaxPositionEmbeddings = 8,
        };
        using SequenceClassifier model = TinyEncoder.Classifier(config, Devices.Reference, freeze: false);
        EncodedBatch batch = EncodedBatch.Pad([new EncodedText([5, 6, 7], [0, 1, 1]), new EncodedText(8)], config.PadTokenId);
        // Keys' biases move all scores of a query alike: their gradients are zero, and so are those of rows that nothing refers to.
        GradientCheck.Numerical(() => model.Loss(batch, [2, 0]), [.. model.NamedParameters().Select(entry => entry.Parameter)]);
    }

    [Theory, MemberData(nameof(Families))]
    public void TheLossFollowsTheProblem(string family)
    {
        EncodedBatch batch = EncodedBatch.Pad(TinyEncoder.Texts(4, 6, 3), 1);
        EncoderConfig config = TinyEncoder.Config(family);
        using var scope = new TensorScope("test");
        using (SequenceClassifier model = TinyEncoder.Classifier(config))
        {
            double[] s = model.Forward(batch).ToArray<double>();
            float[] z = [1, 0, 1, 0, 0, 1];
            Assert.Equal(s.Zip(z, (x, y) => Math.Log(1 + Math.Exp(x)) - y * x).Average(), model.Loss(batch, z).ToScalar(), 1e-5);
            Assert.Equal(Enumerable.Range(0, 2).Average(row => CrossEntropy(s[(3 * row)..(3 * row + 3)], 2 - row)), model.Loss(batch, [2, 1]).ToScalar(), 1e-5);
            Assert.Equal(CrossEntropy(s[3..], 1), model.Loss(batch, [CrossEntropyKernel.IgnoreIndex, 1]).ToScalar(), 1e-5);
            Assert.Throws<ArgumentException>(() => model.Loss(batch, [0.5f, 0, 1, 0, 0, 1]));
            Assert.Throws<IndexException>(() => model.Loss(batch, [3, 0]));
            Assert.Throws<ShapeException>(() => model.Loss(batch, [0]));
            Assert.Throws<ShapeException>(() => model.Loss(batch, [0f, 1]));
        }
        using (SequenceClassifier model = TinyEncoder.Classifier(config with { Problem = ClassificationProblem.Regression }))
        {
            float[] z = [1.5f, 0, -1, 0.25f, 2, 1];
            Assert.Equal(model.Forward(batch).ToArray<double>().Zip(z, (x, y) => (x - y) * (x - y)).Average(), model.Loss(batch, z).ToScalar(), 1e-4);
            Assert.Throws<ArgumentException>(() => model.Loss(batch, [float.NaN, 0, -1, 0, 2, 1]));
            Assert.Throws<InvalidOperationException>(() => model.Loss(batch, [0, 1]));
        }
        using (SequenceClassifier model = TinyEncoder.Classifier(config with { Problem = ClassificationProblem.SingleLabel }))
            Assert.Throws<InvalidOperationException>(() => model.Loss(batch, [1f, 0, 1, 0, 0, 1]));
        using (SequenceClassifier model = TinyEncoder.Classifier(config with { Labels = ["score"] }))
            Assert.Equal(ClassificationProblem.Regression, model.ProblemOf(ClassificationProblem.MultiLabel));
    }

    [Theory, MemberData(nameof(Families))]
    public void TokensAreClassifiedOneByOne(string family)
    {
        EncoderConfig config = TinyEncoder.Config(family, EncoderHead.TokenClassification);
        using TokenClassifier model = TokenClassifier.Create(config, Devices.Cpu, new Generator(3));
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, TaskType = "TOKEN_CLS" }, new Generator(1));
        EncodedBatch batch = EncodedBatch.Pad(TinyEncoder.Texts(5, 4, 2), config.PadTokenId);
        using var tape = new Tape();
        double[] s = model.Forward(batch).ToArray<double>();
        Assert.Equal(2 * 4 * 3, s.Length);
        Tensor loss = model.Loss(batch, [-100, 2, 0, -100, 1, -100, -100, -100]);
        Assert.Equal((CrossEntropy(s[3..6], 2) + CrossEntropy(s[6..9], 0) + CrossEntropy(s[12..15], 1)) / 3, loss.ToScalar(), 1e-4);
        tape.Backward(loss);
        Assert.Contains(
            peft.TrainableParameters(), entry => entry.Name.StartsWith("base_model.model.classifier.modules_to_save.default.", StringComparison.Ordinal));
        IReadOnlyList<LabelScore> second = model.Classify(batch)[1];
        Assert.Equal(2, second.Count);
        Assert.Equal($"LABEL_{Array.IndexOf(s[12..15], s[12..15].Max())}", second[0].Label);
        Assert.Equal(Math.Exp(-CrossEntropy(s[12..15], Array.IndexOf(s[12..15], s[12..15].Max()))), second[0].Score, 1e-5);
        Assert.All(peft.TrainableParameters(), entry => Assert.NotNull(entry.Parameter.Gradient));
    }

    [Theory, MemberData(nameof(Families))]
    public void TextsBecomeVectors(string family)
    {
        EncoderConfig config = TinyEncoder.Config(family, EncoderHead.None);
        using TextEncoder model = TextEncoder.Create(config, Devices.Cpu, new Generator(3));
        EncodedBatch batch = EncodedBatch.From([1, 7, 9, 4, 5, 6, 8, 2], [0, 1, 0, 1, 1, 1, 1, 0], null, rows: 2);
        using var scope = new TensorScope("test");
        double[] hidden = model.Forward(batch).ToArray<double>();
        double[] Row(int token) => hidden[(token * 24)..(token * 24 + 24)];
        double[] Means(params int[] tokens) => [.. Enumerable.Range(0, 24).Select(c => tokens.Average(token => Row(token)[c]))];
        Close([.. Means(1, 3), .. Means(4, 5, 6)], model.Embed(batch, Pooling.Mean, normalize: false));
        Close([.. Row(0), .. Row(4)], model.Embed(batch, Pooling.Cls, normalize: false));
        double[] plain = model.Embed(batch, Pooling.Pooler, normalize: false).ToArray<double>();
        Assert.All(plain, value => Assert.InRange(value, -1, 1));
        double[] lengths = [.. plain.Chunk(24).Select(row => Math.Sqrt(row.Sum(x => x * x)))];
        Close([.. plain.Select((x, i) => x / lengths[i / 24])], model.Embed(batch, Pooling.Pooler));
        using TextEncoder without = TextEncoder.Create(config with { HasPooler = false }, Devices.Cpu, new Generator(3));
        Assert.Throws<InvalidOperationException>(() => without.Embed(batch, Pooling.Pooler));

        static void Close(double[] want, Tensor got)
        {
            foreach ((double a, double b) in want.Zip(got.ToArray<double>())) Assert.Equal(a, b, 1e-5);
            Assert.Equal(want.Length, got.ElementCount);
        }
    }

    [Theory, MemberData(nameof(Families))]
    public void DropoutActsInTrainingAloneAndFollowsItsGenerator(string family)
    {
        EncoderConfig config = TinyEncoder.Config(family) with { HiddenDropoutProb = 0.2, ClassifierDropout = 0.5 };
        using SequenceClassifier model = TinyEncoder.Classifier(config), plain = TinyEncoder.Classifier(TinyEncoder.Config(family));
        EncodedBatch batch = EncodedBatch.Pad(TinyEncoder.Texts(4, 6, 3), config.PadTokenId);
        using var scope = new TensorScope("test");
        Assert.Equal(plain.Forward(batch).ToArray<float>(), model.Forward(batch).ToArray<float>());
        model.Train();
        float[] first = Dropped(5);
        Assert.NotEqual(plain.Forward(batch).ToArray<float>(), first);
        Assert.NotEqual(first, model.Forward(batch).ToArray<float>());
        Assert.Equal(first, Dropped(5));
        model.Train(false);
        Assert.Equal(plain.Forward(batch).ToArray<float>(), model.Forward(batch).ToArray<float>());

        float[] Dropped(ulong seed)
        {
            model.DropoutGenerator = new Generator(seed);
            return model.Forward(batch).ToArray<float>();
        }
    }

    [Fact]
    public void TextsAreClassifiedByTheProblem()
    {
        EncodedBatch batch = EncodedBatch.Pad(TinyEncoder.Texts(4, 6, 3), 0);
        EncoderConfig config = TinyEncoder.Config(BertConfig.Family) with { Labels = ["a", "b", "c"] };
        double[] s = Logits(config);
        Compare(null, s => Math.Exp(s[0]) / s[1..].Sum(Math.Exp));
        Compare(ClassificationProblem.MultiLabel, s => 1 / (1 + Math.Exp(-s[0])));
        Compare(ClassificationProblem.Regression, s => s[0]);

        void Compare(ClassificationProblem? problem, Func<double[], double> score)
        {
            using SequenceClassifier model = TinyEncoder.Classifier(config with { Problem = problem });
            IReadOnlyList<IReadOnlyList<LabelScore>> labels = model.Classify(batch);
            Assert.Equal(2, labels.Count);
            foreach ((int row, IReadOnlyList<LabelScore> some) in labels.Index())
            {
                Assert.Equal(some.OrderByDescending(entry => entry.Score), some);
                double[] scores = s[(3 * row)..(3 * row + 3)];
                foreach (LabelScore entry in some) Assert.Equal(score([scores["abc".IndexOf(entry.Label[0])], .. scores]), entry.Score, 1e-5);
            }
        }

        double[] Logits(EncoderConfig config)
        {
            using SequenceClassifier model = TinyEncoder.Classifier(config);
            using var scope = new TensorScope("logits");
            return model.Forward(batch).ToArray<double>();
        }
    }

    [Fact]
    public void ManyRequestsComputeAtOnceAndEachAsAlone()
    {
        EncoderConfig config = TinyEncoder.Config(RobertaConfig.Family);
        using SequenceClassifier model = TinyEncoder.Classifier(config);
        EncodedBatch[] batches = [.. Enumerable.Range(0, 16).Select(i => EncodedBatch.Pad(TinyEncoder.Texts(i, 1 + i, 3), config.PadTokenId))];
        LabelScore[][] alone = [.. batches.Select(Labels)], together = new LabelScore[batches.Length][];
        Parallel.For(0, batches.Length, i => together[i] = Labels(batches[i]));
        Assert.Equal(alone, together);

        LabelScore[] Labels(EncodedBatch batch) => [.. model.Classify(batch).SelectMany(labels => labels)];
    }

    [Fact]
    public void WhatTheModelDoesNotTakeIsRefused()
    {
        EncoderConfig config = TinyEncoder.Config(BertConfig.Family);
        using SequenceClassifier model = TinyEncoder.Classifier(config);
        Assert.Contains("21 tokens are more than the 20", Assert.Throws<ShapeException>(() => Forward(EncodedBatch.Pad(TinyEncoder.Texts(1, 21), 0))).Message);
        Assert.Throws<IndexException>(() => Forward(EncodedBatch.From([3, 99], null, null, 1)));
        Assert.Contains("token type 2", Assert.Throws<IndexException>(() => Forward(EncodedBatch.From([3, 9], null, [0, 2], 1))).Message);
        Assert.Contains("row 1 is all padding", Assert.Throws<ShapeException>(() => EncodedBatch.From([3, 9], [1, 0], null, 2)).Message);
        Assert.Throws<ShapeException>(() => EncodedBatch.From([3, 9, 4], null, null, 2));
        Assert.Throws<ShapeException>(() => EncodedBatch.From([3, 9], [1], null, 1));
        Assert.Throws<ShapeException>(() => EncodedBatch.Pad([new EncodedText()], 0));
        Assert.Throws<ShapeException>(() => EncodedBatch.Pad([], 0));
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Forward(EncodedBatch.Pad(TinyEncoder.Texts(1, 2), 0)));

        void Forward(EncodedBatch batch)
        {
            using var scope = new TensorScope("refused");
            model.Forward(batch);
        }
    }

    private static double[] Results(string family, Device device)
    {
        EncoderConfig config = TinyEncoder.Config(family);
        using SequenceClassifier model = TinyEncoder.Classifier(config, device);
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, TaskType = "SEQ_CLS", InitWeights = false, TargetModules = ModuleSelector.AllLinear }, new Generator(1));
        EncodedBatch batch = EncodedBatch.Pad(TinyEncoder.Texts(3, 5, 2), config.PadTokenId);
        using var tape = new Tape();
        Tensor loss = model.Loss(batch, [2, 0]);
        double[] logits = model.Forward(batch).ToArray<double>();
        tape.Backward(loss);
        return [loss.ToScalar(), .. logits, .. peft.TrainableParameters().SelectMany(entry => entry.Parameter.Gradient!.ToArray<double>())];
    }

    private static double CrossEntropy(double[] scores, int label) => Math.Log(scores.Sum(Math.Exp)) - scores[label];
}
