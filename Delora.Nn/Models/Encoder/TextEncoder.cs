using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>How the features of a text's tokens become one vector.</summary>
public enum Pooling
{
    /// <summary>The mean over all tokens that are no padding, as most models for semantic search were trained.</summary>
    Mean,

    /// <summary>The features of the first token, [CLS] or &lt;s&gt;.</summary>
    Cls,

    /// <summary>The model's pooler, tanh(W · first token + b): <c>pooler_output</c>.</summary>
    Pooler,
}

/// <summary>
/// An encoder without a head (<c>BertModel</c>, <c>RobertaModel</c>): features of tokens, and embeddings of texts for semantic search.
/// <code>
/// using var model = TextEncoder.Load("model-folder", Devices.Best().Device);
/// using var scope = new TensorScope();
/// float[] vectors = model.Embed(batch).ToArray&lt;float&gt;();     // one row a text; similarity is the dot product
/// </code>
/// </summary>
public sealed class TextEncoder : EncoderModel
{
    internal TextEncoder(EncoderConfig config, Device device, WeightSource weights) : base(config, device, weights)
    {
    }

    /// <summary>
    /// Loads the encoder of a model folder, whatever head the model has: that is left out. Frozen and in evaluation mode.
    /// </summary>
    /// <param name="folder">A folder with <c>config.json</c> and safetensors files.</param>
    /// <param name="device">Where.</param>
    /// <param name="warn">Hears of what is ignored, and of NaN or infinity in the weights.</param>
    /// <param name="strict">Whether NaN or infinity in the weights is an error.</param>
    /// <param name="frozen">How linear layers keep their weights: float32 where nothing is given.</param>
    /// <exception cref="DeloraFormatException">
    /// A file is missing or wrong, tensors are missing or extra, a shape does not fit, or the folder holds no encoder that is supported.
    /// </exception>
    /// <exception cref="NonFiniteException">The storage of frozen weights cannot keep a number.</exception>
    /// <exception cref="ArgumentException">The storage of frozen weights does not keep the directions that are asked for.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public static new TextEncoder Load(
        string folder, Device device, Action<string>? warn = null, bool strict = false, FrozenWeightOptions? frozen = null)
    {
        EncoderConfig config = EncoderConfig.LoadEncoder(folder, warn);
        using WeightFiles files = OpenWeights(folder, warn, strict, frozen);
        config = config with
        {
            Head = EncoderHead.None,
            HasPooler = files.Entries.Any(entry => entry.Name is "pooler.dense.weight" || entry.Name == $"{config.BasePrefix}.pooler.dense.weight"),
        };
        // Nothing is new: half a pooler is a damaged file.
        return (TextEncoder)EncoderWeights.Load(config, files, device, (name, _) => throw new DeloraFormatException(files.Source, name, "is missing."), warn);
    }

    /// <summary>A model with new weights: normal with the configuration's standard deviation, norms of ones, biases of zeros.</summary>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong.</exception>
    public static TextEncoder Create(EncoderConfig config, Device device, Generator generator)
    {
        config = config with { Head = EncoderHead.None };
        using var scope = new TensorScope("create model");
        return new TextEncoder(config, device, NewWeights(config, device, generator));
    }

    /// <summary>The features of every token, <c>last_hidden_state</c>.</summary>
    /// <returns>[rows, length, hidden]; of no meaning where there is padding.</returns>
    /// <exception cref="ShapeException">The texts are longer than the model takes.</exception>
    /// <exception cref="IndexException">An id is not in the vocabulary, or a token type not one of the model's.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public Tensor Forward(EncodedBatch batch)
    {
        using Lease lease = Enter();
        return Hidden(batch);
    }
}
