using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>An encoder, BERT or RoBERTa, with or without a head: every token sees the whole text.</summary>
public abstract class EncoderModel : PretrainedModel
{
    private readonly Encoder _encoder;

    private protected EncoderModel(EncoderConfig config, Device device, WeightSource weights) : base(device)
    {
        Config = config;
        string prefix = config.TensorPrefix.TrimEnd('.');
        _encoder = new Encoder(config, device, prefix.Length == 0 ? weights : weights.Within(prefix), Dropout);
        if (prefix.Length > 0) Register(prefix, _encoder);
        // A bare encoder is the model itself: its parts stand at the top.
        else foreach ((string name, Module part) in _encoder.Children) Register(name, part);
    }

    /// <inheritdoc/>
    public override EncoderConfig Config { get; }

    /// <inheritdoc/>
    public override TargetOptions Targets { get; } = new() { DefaultTargets = (string[])["query", "value"] };

    /// <summary>
    /// Where dropout masks come from in training (<see cref="Module.Train"/>). A training run sets its own, so that one seed names all its
    /// random numbers.
    /// </summary>
    public Generator DropoutGenerator
    {
        get => Dropout.Generator;
        set => Dropout.Generator = value;
    }

    private protected EncoderDropout Dropout { get; } = new();

    /// <summary>One vector for each text, of the features below the head where there is one.</summary>
    /// <param name="batch">The texts.</param>
    /// <param name="pooling">How the features of the tokens become one vector.</param>
    /// <param name="normalize">Whether every vector is divided by its length √Σx², so that a dot product is the cosine.</param>
    /// <returns>[rows, hidden]</returns>
    /// <exception cref="ShapeException">The texts are longer than the model takes.</exception>
    /// <exception cref="IndexException">An id is not in the vocabulary, or a token type not one of the model's.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    /// <exception cref="InvalidOperationException">The model has no pooler.</exception>
    public Tensor Embed(EncodedBatch batch, Pooling pooling = Pooling.Mean, bool normalize = true)
    {
        using Lease lease = Enter();
        if (pooling == Pooling.Pooler && !Config.UsesPooler)
            throw new InvalidOperationException($"The {Config.Architecture} has no pooler.");
        Tensor hidden = Hidden(batch);
        Tensor vectors = pooling switch
        {
            Pooling.Mean => Mean(hidden, batch),
            Pooling.Cls => First(hidden),
            Pooling.Pooler => Pooled(hidden)!,
            _ => throw new ArgumentOutOfRangeException(nameof(pooling), pooling, "is not defined."),
        };
        return normalize ? Normalized(vectors) : vectors;
    }

    /// <summary>Reads an encoder, with the head that its configuration names; it is frozen.</summary>
    internal static EncoderModel Load(EncoderConfig config, WeightFiles files, Device device, Action<string>? warn)
    {
        if (config.OtherArchitecture is { } other)
            throw config.Wrong("architectures", $"{(other.Length == 0 ? "nothing" : $"'{other}'")} is no encoder that is supported; "
                + $"{string.Join(", ", Enum.GetValues<EncoderHead>().Select(head => (config with { Head = head }).Architecture))} are. "
                + $"{nameof(TextEncoder)}.Load and {nameof(SequenceClassifier)}.FromEncoder take the encoder of other models.");
        return EncoderWeights.Load(config, files, device, make: null, warn);
    }

    /// <summary>The encoder of a folder, whatever head it has, with a new one; frozen.</summary>
    private protected static EncoderModel WithNewHead(
        string folder, Device device, Func<EncoderConfig, EncoderConfig> head, Generator generator, Action<string>? warn, bool strict)
    {
        EncoderConfig config = head(EncoderConfig.LoadEncoder(folder, warn));
        using WeightFiles files = OpenWeights(folder, warn, strict);
        return EncoderWeights.Load(config, files, device, (name, shape) => NewTensor(config, name, shape, device, generator), warn);
    }

    /// <summary>The model of a configuration.</summary>
    internal static EncoderModel Of(EncoderConfig config, Device device, WeightSource weights) => config.Head switch
    {
        EncoderHead.SequenceClassification => new SequenceClassifier(config, device, weights),
        EncoderHead.TokenClassification => new TokenClassifier(config, device, weights),
        _ => new TextEncoder(config, device, weights),
    };

    /// <summary>What the features are computed from, as it comes to the device; see <see cref="Encoder.Inputs"/>.</summary>
    private protected IReadOnlyList<BatchInput> Inputs(EncodedBatch batch) => _encoder.Inputs(batch);

    /// <summary>The features of the last layer, [rows, length, hidden].</summary>
    private protected Tensor Hidden(EncodedBatch batch) => Hidden([.. Inputs(batch).Select(input => input.On(Device))]);

    /// <summary>The same from tensors of <see cref="Inputs"/>.</summary>
    private protected Tensor Hidden(ReadOnlySpan<Tensor> inputs) => _encoder.Forward(inputs, Checkpointing ? this : null);

    private protected Tensor First(Tensor hidden) => _encoder.First(hidden);

    private protected Tensor? Pooled(Tensor hidden) => _encoder.Pooled(hidden);

    /// <summary>New weights for a whole model; they belong to the scope that is open.</summary>
    private protected static WeightSource NewWeights(EncoderConfig config, Device device, Generator generator) =>
        WeightSource.Gather(config.TensorShapes(), (name, shape) => NewTensor(config, name, shape, device, generator));

    /// <summary>A new weight: normal with the configuration's standard deviation, norms of ones, biases of zeros.</summary>
    private protected static Tensor NewTensor(EncoderConfig config, string name, Shape shape, Device device, Generator generator) =>
        shape.Rank == 2 ? Initialization.Normal(shape, config.InitializerRange, device, generator, name)
        : name.EndsWith("bias", StringComparison.Ordinal) ? Tensor.Zeros(shape, device.FloatType, device, name)
        : Tensor.From(Enumerable.Repeat(1f, shape[0]).ToArray(), shape, device, name);

    /// <summary>Σ over the tokens of a row / their number, [rows, hidden].</summary>
    private Tensor Mean(Tensor hidden, EncodedBatch batch)
    {
        List<int> tokens = [], starts = [0];
        for (int i = 0; i < batch.Mask.Length; i++)
        {
            if (batch.Mask[i] != 0) tokens.Add(i);
            if ((i + 1) % batch.Length == 0) starts.Add(tokens.Count);
        }
        Tensor rows = hidden.Reshape([batch.Rows * batch.Length, Config.HiddenSize]);
        return rows.EmbeddingBag(
            Tensor.From([.. tokens], [tokens.Count], Device, "tokens"), Tensor.From([.. starts], [starts.Count], Device, "starts"));
    }

    /// <summary>
    /// x / √(Σx² + 1e-24): torch's <c>normalize</c>, whose bound of 1e-12 for the length is inside the root here. A root mean square norm with
    /// the weight 1/√dim is just that.
    /// </summary>
    private Tensor Normalized(Tensor vectors)
    {
        int dim = Config.HiddenSize;
        Tensor weight = Tensor.From(Enumerable.Repeat(1 / Math.Sqrt(dim), dim).ToArray(), [dim], Device, "1/√dim");
        return vectors.RmsNorm(weight, 1e-24 / dim);
    }
}
