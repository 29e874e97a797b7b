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

    /// <summary>Reads an encoder, with the head that its configuration names; it is frozen.</summary>
    internal static EncoderModel Load(EncoderConfig config, WeightFiles files, Device device, Action<string>? warn)
    {
        if (config.OtherArchitecture is { } other)
            throw config.Wrong("architectures", $"{(other.Length == 0 ? "nothing" : $"'{other}'")} is no encoder that is supported; "
                + $"{string.Join(", ", Enum.GetValues<EncoderHead>().Select(head => (config with { Head = head }).Architecture))} are. "
                + $"{nameof(TextEncoder)}.Load and {nameof(SequenceClassifier)}.FromEncoder take the encoder of other models.");
        return EncoderWeights.Load(config, files, device, make: null, warn);
    }

    /// <summary>The model of a configuration.</summary>
    internal static EncoderModel Of(EncoderConfig config, Device device, WeightSource weights) => config.Head switch
    {
        EncoderHead.SequenceClassification => new SequenceClassifier(config, device, weights),
        EncoderHead.TokenClassification => new TokenClassifier(config, device, weights),
        _ => new TextEncoder(config, device, weights),
    };

    /// <summary>The features of the last layer, [rows, length, hidden].</summary>
    private protected Tensor Hidden(EncodedBatch batch) => _encoder.Forward(batch, Checkpointing ? this : null);

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
}
