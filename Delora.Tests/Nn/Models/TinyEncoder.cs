using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>A BERT and a RoBERTa that a test can afford.</summary>
internal static class TinyEncoder
{
    internal const int Vocabulary = 41;

    internal static EncoderConfig Config(string family, EncoderHead head = EncoderHead.SequenceClassification, int labels = 3) =>
        family == BertConfig.Family
            ? Small(new BertConfig { VocabSize = Vocabulary }, head, labels)
            : Small(new RobertaConfig { VocabSize = Vocabulary }, head, labels);

    internal static SequenceClassifier Classifier(EncoderConfig config, Device? device = null, bool freeze = true)
    {
        SequenceClassifier model = SequenceClassifier.Create(config, device ?? Devices.Cpu, new Generator(7));
        if (freeze) model.Freeze();
        return model;
    }

    /// <summary>Texts of the given lengths, without the padding token.</summary>
    internal static EncodedText[] Texts(int seed, params int[] lengths)
    {
        var random = new Random(seed);
        return
        [
            .. lengths.Select(length => new EncodedText(
                [.. Enumerable.Range(0, length).Select(_ => random.Next(3, Vocabulary))],
                [.. Enumerable.Range(0, length).Select(i => i > length / 2 ? 1 : 0)])),
        ];
    }

    private static EncoderConfig Small(EncoderConfig config, EncoderHead head, int labels) => config with
    {
        Head = head,
        HiddenSize = 24,
        NumHiddenLayers = 2,
        NumAttentionHeads = 3,
        IntermediateSize = 36,
        MaxPositionEmbeddings = 20,
        HiddenDropoutProb = 0,
        AttentionProbsDropoutProb = 0,
        InitializerRange = 0.3,
        Labels = EncoderConfig.DefaultLabels(labels),
    };
}
