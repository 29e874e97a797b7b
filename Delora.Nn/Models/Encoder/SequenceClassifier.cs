using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// A classifier of texts or pairs of texts: <c>BertForSequenceClassification</c>, a linear layer over the pooler's output, or
/// <c>RobertaForSequenceClassification</c>, out_proj(tanh(dense(first token))).
/// </summary>
public sealed class SequenceClassifier : EncoderModel
{
    private readonly Linear? _linear;
    private readonly ClassificationHead? _head;

    internal SequenceClassifier(EncoderConfig config, Device device, WeightSource weights) : base(config, device, weights)
    {
        if (config.ClassifiesPooled) _linear = Register("classifier", weights.Linear("classifier"));
        else _head = Register("classifier", new ClassificationHead(config, weights.Within("classifier"), Dropout));
    }

    /// <summary>
    /// The encoder of a model folder, whatever head it has, with a new head to be trained: what transformers' <c>from_pretrained</c> does with
    /// <c>num_labels</c>. A BERT encoder without a pooler gets a new one as well. Frozen and in evaluation mode.
    /// </summary>
    /// <param name="folder">A folder with <c>config.json</c> and safetensors files.</param>
    /// <param name="device">Where.</param>
    /// <param name="labels">Names of the labels; a single one for a regression.</param>
    /// <param name="generator">Random numbers for the head.</param>
    /// <param name="problem">What the labels are; null: see <see cref="EncoderConfig.Problem"/>.</param>
    /// <param name="warn">Hears of what is ignored or new, and of NaN or infinity in the weights.</param>
    /// <param name="strict">Whether NaN or infinity in the weights is an error.</param>
    /// <exception cref="DeloraFormatException">
    /// A file is missing or wrong, tensors are missing or extra, a shape does not fit, or the folder holds no encoder that is supported.
    /// </exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public static SequenceClassifier FromEncoder(
        string folder, Device device, IReadOnlyList<string> labels, Generator generator, ClassificationProblem? problem = null,
        Action<string>? warn = null, bool strict = false)
    {
        return (SequenceClassifier)WithNewHead(
            folder, device, config => config with { Head = EncoderHead.SequenceClassification, Labels = [.. labels], Problem = problem }, generator, warn,
            strict);
    }

    /// <summary>A model with new weights: normal with the configuration's standard deviation, norms of ones, biases of zeros.</summary>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong.</exception>
    public static SequenceClassifier Create(EncoderConfig config, Device device, Generator generator)
    {
        config = config with { Head = EncoderHead.SequenceClassification };
        using var scope = new TensorScope("create model");
        return new SequenceClassifier(config, device, NewWeights(config, device, generator));
    }

    /// <summary>The scores of every label.</summary>
    /// <returns>[rows, labels]</returns>
    /// <exception cref="ShapeException">The texts are longer than the model takes.</exception>
    /// <exception cref="IndexException">An id is not in the vocabulary, or a token type not one of the model's.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public Tensor Forward(EncodedBatch batch)
    {
        using Lease lease = Enter();
        return Logits(Hidden(batch));
    }

    /// <summary>
    /// The labels of texts with their probabilities: softmax for a single label a text, σ of each score for several, and for a regression the
    /// scores themselves. A problem that is open is a single label a text.
    /// </summary>
    /// <returns>For each text all labels, the highest score first.</returns>
    /// <inheritdoc cref="Forward"/>
    public IReadOnlyList<IReadOnlyList<LabelScore>> Classify(EncodedBatch batch)
    {
        using IDisposable pause = Tape.Pause();
        Tensor logits = Forward(batch);
        double[] scores = (ProblemOf(ClassificationProblem.SingleLabel) switch
        {
            ClassificationProblem.SingleLabel => logits.Softmax(),
            ClassificationProblem.MultiLabel => logits.Sigmoid(),
            _ => logits,
        }).ToArray<double>();
        return [.. scores.Chunk(Config.LabelCount).Select(LabelScore.Sorted(Config))];
    }

    /// <summary>The mean cross-entropy of texts that have one label each.</summary>
    /// <param name="batch">The texts.</param>
    /// <param name="labels">A label for each text; −100 where it does not count.</param>
    /// <returns>The loss, a scalar [].</returns>
    /// <exception cref="InvalidOperationException">The model is a regression or has several labels a text.</exception>
    /// <inheritdoc cref="Forward"/>
    public Tensor Loss(EncodedBatch batch, int[] labels) => Loss(new ClassificationBatch(batch, labels, null));

    /// <summary>
    /// The loss of texts with several labels or numbers: the mean of −z log σ(s) − (1 − z) log(1 − σ(s)) over all texts and labels
    /// (transformers: <c>BCEWithLogitsLoss</c>), or for a regression of (s − z)² (<c>MSELoss</c>).
    /// </summary>
    /// <param name="batch">The texts.</param>
    /// <param name="targets">z, [rows, labels]; for several labels 0 or 1.</param>
    /// <returns>The loss, a scalar [].</returns>
    /// <exception cref="ArgumentException">A target is not finite, or for several labels neither 0 nor 1.</exception>
    /// <exception cref="InvalidOperationException">The model gives one label a text.</exception>
    /// <inheritdoc cref="Forward"/>
    public Tensor Loss(EncodedBatch batch, float[] targets) => Loss(new ClassificationBatch(batch, null, targets));

    /// <summary>The loss of a batch of <see cref="ClassificationRows"/>.</summary>
    /// <returns>The loss, a scalar [].</returns>
    /// <exception cref="InvalidOperationException">The labels are not of the model's kind.</exception>
    /// <inheritdoc cref="Forward"/>
    public Tensor Loss(ClassificationBatch batch)
    {
        using Lease lease = Enter();
        return LossOf(Logits(Hidden(batch.Inputs)), batch);
    }

    /// <summary>What the loss of a batch is computed from, as it comes to the device: the targets, then what the encoder takes.</summary>
    /// <inheritdoc cref="Loss(ClassificationBatch)"/>
    internal IReadOnlyList<BatchInput> Inputs(ClassificationBatch batch) => [Target(batch), .. Inputs(batch.Inputs)];

    /// <summary>The loss from tensors of <see cref="Inputs(ClassificationBatch)"/>.</summary>
    internal Tensor Loss(IReadOnlyList<Tensor> inputs, ClassificationProblem problem)
    {
        using Lease lease = Enter();
        return LossOf(Logits(Hidden([.. inputs.Skip(1)])), inputs[0], problem);
    }

    /// <summary>What the labels are; see <see cref="EncoderConfig.ProblemOf"/>.</summary>
    /// <param name="data">What the data hold.</param>
    public ClassificationProblem ProblemOf(ClassificationProblem data) => Config.ProblemOf(data);

    /// <summary>The loss of scores that are there.</summary>
    internal Tensor LossOf(Tensor logits, ClassificationBatch batch) =>
        LossOf(logits, Target(batch).On(Device), ProblemOf(batch.Labels is null ? ClassificationProblem.MultiLabel : ClassificationProblem.SingleLabel));

    /// <summary>A single label of each text [rows], several of each [rows · labels] as 0 and 1, or minus the numbers of a regression [rows, labels].</summary>
    private BatchInput Target(ClassificationBatch batch)
    {
        ClassificationProblem data = batch.Labels is null ? ClassificationProblem.MultiLabel : ClassificationProblem.SingleLabel;
        ClassificationProblem problem = ProblemOf(data);
        if ((problem == ClassificationProblem.SingleLabel) != (data == ClassificationProblem.SingleLabel))
            throw new InvalidOperationException(
                $"The {Config.Architecture} is for {problem}; the targets are {(batch.Labels is null ? "several or numbers" : "one label a text")}.");
        if (batch.Labels is { } labels)
        {
            Check.Shapes(labels.Length == batch.Inputs.Rows, $"{Config.Architecture}: {batch.Inputs.Rows} texts, and {labels.Length} labels");
            return new BatchInput("labels", labels, [labels.Length]);
        }
        float[] targets = batch.Targets!;
        Check.Shapes(targets.Length == batch.Inputs.Rows * (long)Config.LabelCount,
            $"{Config.Architecture}: {batch.Inputs.Rows} texts with {Config.LabelCount} labels, and {targets.Length} targets");
        CheckTargets(targets, problem);
        return problem == ClassificationProblem.MultiLabel
            ? new BatchInput("labels", [.. targets.Select(target => (int)target)], [targets.Length])
            : new BatchInput("targets", [.. targets.Select(target => -target)], [batch.Inputs.Rows, Config.LabelCount]);
    }

    private Tensor LossOf(Tensor logits, Tensor target, ClassificationProblem problem) => problem switch
    {
        ClassificationProblem.SingleLabel => logits.CrossEntropy(target),
        ClassificationProblem.MultiLabel => BinaryCrossEntropy(logits, target),
        _ => MeanSquaredError(logits, target),
    };

    /// <summary>Refuses targets that are no numbers, or for several labels neither 0 nor 1.</summary>
    internal static void CheckTargets(float[] targets, ClassificationProblem problem)
    {
        bool several = problem == ClassificationProblem.MultiLabel;
        foreach (float target in targets)
            if (!float.IsFinite(target) || (several && target is not (0 or 1)))
                throw new ArgumentException($"The target {target} is {(several ? "neither 0 nor 1" : "not finite")}.", nameof(targets));
    }

    private Tensor Logits(Tensor hidden) => _linear is null
        ? _head!.Forward(First(hidden))
        : _linear.Forward(Dropout.Apply(this, Pooled(hidden)!, Config.HeadDropout));              // [rows, labels]

    /// <summary>
    /// log(1 + e^s) − z s is the cross-entropy of two classes with the scores 0 and s, whose op is stable for any s.
    /// </summary>
    private Tensor BinaryCrossEntropy(Tensor logits, Tensor labels)
    {
        int count = labels.Shape[0];
        Tensor absent = Tensor.Zeros([count, 1], Device.FloatType, Device, "scores of absence");
        return Functions.Concat(1, absent, logits.Reshape([count, 1])).CrossEntropy(labels);
    }

    private static Tensor MeanSquaredError(Tensor logits, Tensor minusTargets)
    {
        Tensor difference = logits.Add(minusTargets);
        return difference.Multiply(difference).Mean();
    }

    /// <summary>RoBERTa's head: out_proj(tanh(dense(x))) of the first token's features x.</summary>
    private sealed class ClassificationHead : Module
    {
        private readonly Linear _dense, _output;
        private readonly EncoderDropout _dropout;
        private readonly double _probability;

        internal ClassificationHead(EncoderConfig config, WeightSource weights, EncoderDropout dropout)
        {
            _dense = Register("dense", weights.Linear("dense"));
            _output = Register("out_proj", weights.Linear("out_proj"));
            (_dropout, _probability) = (dropout, config.HeadDropout);
        }

        internal Tensor Forward(Tensor first)
        {
            Tensor x = _dense.Forward(_dropout.Apply(this, first, _probability)).Tanh();
            return _output.Forward(_dropout.Apply(this, x, _probability));                       // [rows, labels]
        }
    }
}
