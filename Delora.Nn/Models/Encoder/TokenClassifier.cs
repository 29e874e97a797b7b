using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// A classifier of tokens, for instance of names in a text: <c>BertForTokenClassification</c>, <c>RobertaForTokenClassification</c>; a linear
/// layer over the features of every token.
/// </summary>
public sealed class TokenClassifier : EncoderModel
{
    private readonly Linear _classifier;

    internal TokenClassifier(EncoderConfig config, Device device, WeightSource weights) : base(config, device, weights) =>
        _classifier = Register("classifier", weights.Linear("classifier"));

    /// <summary>
    /// The encoder of a model folder, whatever head it has, with a new head to be trained: what transformers' <c>from_pretrained</c> does with
    /// <c>num_labels</c>. Frozen and in evaluation mode.
    /// </summary>
    /// <param name="folder">A folder with <c>config.json</c> and safetensors files.</param>
    /// <param name="device">Where.</param>
    /// <param name="labels">Names of the labels.</param>
    /// <param name="generator">Random numbers for the head.</param>
    /// <param name="warn">Hears of what is ignored or new, and of NaN or infinity in the weights.</param>
    /// <param name="strict">Whether NaN or infinity in the weights is an error.</param>
    /// <exception cref="DeloraFormatException">
    /// A file is missing or wrong, tensors are missing or extra, a shape does not fit, or the folder holds no encoder that is supported.
    /// </exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public static TokenClassifier FromEncoder(
        string folder, Device device, IReadOnlyList<string> labels, Generator generator, Action<string>? warn = null, bool strict = false) =>
        (TokenClassifier)WithNewHead(
            folder, device, config => config with { Head = EncoderHead.TokenClassification, Labels = [.. labels], Problem = null }, generator, warn, strict);

    /// <summary>A model with new weights: normal with the configuration's standard deviation, norms of ones, biases of zeros.</summary>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong.</exception>
    public static TokenClassifier Create(EncoderConfig config, Device device, Generator generator)
    {
        config = config with { Head = EncoderHead.TokenClassification };
        using var scope = new TensorScope("create model");
        return new TokenClassifier(config, device, NewWeights(config, device, generator));
    }

    /// <summary>The scores of every label, for every token.</summary>
    /// <returns>[rows, length, labels]; of no meaning where there is padding.</returns>
    /// <exception cref="ShapeException">The texts are longer than the model takes.</exception>
    /// <exception cref="IndexException">An id is not in the vocabulary, or a token type not one of the model's.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public Tensor Forward(EncodedBatch batch)
    {
        using Lease lease = Enter();
        return Logits(Hidden(batch));
    }

    /// <summary>The most likely label of every token, with its probability.</summary>
    /// <returns>For each text a label for each of its tokens, special ones included and padding left out.</returns>
    /// <inheritdoc cref="Forward"/>
    public IReadOnlyList<IReadOnlyList<LabelScore>> Classify(EncodedBatch batch)
    {
        using IDisposable pause = Tape.Pause();
        double[] scores = Forward(batch).Softmax().ToArray<double>();
        LabelScore[] best = [.. scores.Chunk(Config.LabelCount).Select(LabelScore.Sorted(Config)).Select(labels => labels[0])];
        return [.. Enumerable.Range(0, batch.Rows).Select(row => Row(row * batch.Length))];

        IReadOnlyList<LabelScore> Row(int start) =>
            [.. Enumerable.Range(start, batch.Length).Where(i => batch.Mask[i] != 0).Select(i => best[i])];
    }

    /// <summary>The mean cross-entropy of the tokens' labels.</summary>
    /// <param name="batch">The texts.</param>
    /// <param name="labels">[rows, length]: a label for each token; −100 where it does not count, as for padding and special tokens.</param>
    /// <returns>The loss, a scalar [].</returns>
    /// <inheritdoc cref="Forward"/>
    public Tensor Loss(EncodedBatch batch, int[] labels) => Loss(new TokenClassificationBatch(batch, labels));

    /// <summary>The loss of a batch of <see cref="TokenClassificationRows"/>.</summary>
    /// <returns>The loss, a scalar [].</returns>
    /// <inheritdoc cref="Forward"/>
    public Tensor Loss(TokenClassificationBatch batch)
    {
        using Lease lease = Enter();
        return LossOf(Logits(Hidden(batch.Inputs)), batch);
    }

    /// <summary>What the loss of a batch is computed from, as it comes to the device: the labels, then what the encoder takes.</summary>
    /// <inheritdoc cref="Loss(TokenClassificationBatch)"/>
    internal IReadOnlyList<BatchInput> Inputs(TokenClassificationBatch batch) => [Labels(batch), .. Inputs(batch.Inputs)];

    /// <summary>The loss from tensors of <see cref="Inputs(TokenClassificationBatch)"/>.</summary>
    internal Tensor Loss(IReadOnlyList<Tensor> inputs)
    {
        using Lease lease = Enter();
        return Logits(Hidden([.. inputs.Skip(1)])).CrossEntropy(inputs[0]);
    }

    /// <summary>The loss of scores that are there.</summary>
    internal Tensor LossOf(Tensor logits, TokenClassificationBatch batch) => logits.CrossEntropy(Labels(batch).On(Device));

    private BatchInput Labels(TokenClassificationBatch batch)
    {
        (EncodedBatch inputs, int[] labels) = batch;
        Check.Shapes(labels.Length == inputs.Ids.Length, $"{Config.Architecture}: {inputs.Ids.Length} tokens, and {labels.Length} labels");
        return new BatchInput("labels", labels, [inputs.Rows, inputs.Length]);
    }

    private Tensor Logits(Tensor hidden) =>
        _classifier.Forward(Dropout.Apply(this, hidden, Config.HeadDropout));                    // [rows, length, labels]
}
