using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// A model that predicts the next token of a text. Many requests may compute at once, each with a <see cref="KeyValueCache"/> of its own.
/// </summary>
public abstract class CausalLanguageModel : PretrainedModel
{
    private protected CausalLanguageModel(Device device) : base(device)
    {
    }

    /// <summary>Loads the folder of a language model of any supported family, frozen and in evaluation mode.</summary>
    /// <param name="folder">A folder with <c>config.json</c> and safetensors files.</param>
    /// <param name="device">Where.</param>
    /// <param name="warn">Hears of what is ignored, and of NaN or infinity in the weights.</param>
    /// <param name="strict">Whether NaN or infinity in the weights is an error.</param>
    /// <param name="frozen">How linear layers keep their weights: float32 where nothing is given.</param>
    /// <exception cref="DeloraFormatException">
    /// A file is missing or wrong, tensors are missing or extra, a shape does not fit, or the folder holds no language model that is supported.
    /// </exception>
    /// <exception cref="NonFiniteException">The storage of frozen weights cannot keep a number.</exception>
    /// <exception cref="ArgumentException">The storage of frozen weights does not keep the directions that are asked for.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public static new CausalLanguageModel Load(
        string folder, Device device, Action<string>? warn = null, bool strict = false, FrozenWeightOptions? frozen = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        ModelConfig config = GenerationConfig.AddTo(ModelConfig.Load(folder, warn), folder);
        using WeightFiles weights = OpenWeights(folder, warn, strict, frozen);
        return Load(config, weights, device);
    }

    /// <summary>Reads a language model from open files; it is frozen.</summary>
    internal static CausalLanguageModel Load(ModelConfig config, WeightFiles weights, Device device)
    {
        return config switch
        {
            DecoderConfig decoder => DecoderForCausalLM.Load(decoder, weights, device),
            GPT2Config gpt2 => GPT2LMHeadModel.Load(gpt2, weights, device),
            _ => throw config.Wrong("model_type", $"'{config.ModelType}' is no language model that is supported."),
        };
    }

    /// <summary>The scores of every token of the vocabulary to come next, at every position.</summary>
    /// <param name="ids">int32 [batch, seq].</param>
    /// <param name="mask">
    /// int32 [batch, keys], 0 for padding that no token may attend to; null for none. keys is seq, or with a cache its capacity.
    /// </param>
    /// <param name="cache">Tokens before these; they are added to it. Only without a tape.</param>
    /// <param name="positions">int32 [batch, seq], where they are not simply counted from the first token, padding included.</param>
    /// <returns>[batch, seq, vocabulary]; of no meaning where the mask is 0.</returns>
    /// <exception cref="ShapeException">The shapes do not fit, or the sequence is longer than the model's context.</exception>
    /// <exception cref="IndexException">An id is not in the vocabulary.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public Tensor Forward(Tensor ids, Tensor? mask = null, KeyValueCache? cache = null, Tensor? positions = null)
    {
        using Lease lease = Enter();
        Tensor logits = Logits(Hidden(ids, mask, cache, positions));
        // Last: where something failed before, the cache is as it was.
        cache?.Advance(ids.Shape[1]);
        return logits;
    }

    /// <summary>The scores after the last token of each sequence: what generation needs, without those of all others.</summary>
    /// <returns>[batch, vocabulary]</returns>
    /// <inheritdoc cref="Forward"/>
    public Tensor ForwardLast(Tensor ids, KeyValueCache cache, Tensor? mask = null, Tensor? positions = null)
    {
        using Lease lease = Enter();
        Tensor hidden = Hidden(ids, mask, cache, positions);
        int batch = hidden.Shape[0], seq = hidden.Shape[1], dim = hidden.Shape[2];
        if (seq > 1)
        {
            Tensor[] last = [.. Enumerable.Range(0, batch).Select(b => hidden.Reshape([batch * seq, dim]).Slice(b * seq + seq - 1, 1))];
            hidden = batch == 1 ? last[0] : Functions.Concat(0, last);
        }
        Tensor logits = Logits(hidden.Reshape([batch, dim]));
        cache.Advance(seq);
        return logits;
    }

    /// <summary>The mean cross-entropy of the next tokens, in nats, over all targets that count.</summary>
    /// <param name="ids">int32 [batch, seq].</param>
    /// <param name="targets">int32 [batch, seq]: the token after each position; −100 where it does not count.</param>
    /// <param name="mask">int32 [batch, seq], 0 for padding; null for none.</param>
    /// <returns>The loss, a scalar [].</returns>
    /// <exception cref="ShapeException">The shapes do not fit, or the sequence is longer than the model's context.</exception>
    /// <exception cref="IndexException">An id or a target is not in the vocabulary, or no target counts.</exception>
    public Tensor Loss(Tensor ids, Tensor targets, Tensor? mask = null)
    {
        using Lease lease = Enter();
        return HiddenLoss(Hidden(ids, mask, null, null), targets);
    }

    /// <summary>
    /// The loss of a batch of <see cref="TokenRows"/>; see <see cref="Loss(Tensor, Tensor, Tensor?)"/>. Positions at the right where no row has
    /// a target are left out: they change no loss and no gradient.
    /// </summary>
    /// <param name="batch">Inputs and targets, one row behind the other.</param>
    /// <param name="length">Positions in a row.</param>
    /// <returns>The loss, a scalar [].</returns>
    /// <exception cref="ShapeException">The arrays are no whole rows of that length, or have two lengths; or the rows are longer than the context.</exception>
    /// <exception cref="IndexException">An id or a target is not in the vocabulary, or no target counts.</exception>
    public Tensor Loss((int[] Inputs, int[] Targets) batch, int length)
    {
        int inputs = batch.Inputs.Length, targets = batch.Targets.Length;
        Check.Shapes(length >= 1 && inputs >= 1 && inputs % length == 0 && inputs == targets,
            $"{GetType().Name}: {inputs} inputs and {targets} targets are no whole rows of {length}");
        (batch, length) = TokenRows.Trim(batch, length);
        Shape shape = [batch.Inputs.Length / length, length];
        return Loss(Tensor.FromIndices(batch.Inputs, shape, Device, "inputs"), Tensor.FromIndices(batch.Targets, shape, Device, "targets"));
    }

    /// <summary>An empty cache for requests to this model.</summary>
    /// <param name="batch">Sequences.</param>
    /// <param name="capacity">The most tokens of a sequence; at most the model's context.</param>
    public abstract KeyValueCache CreateCache(int batch, int capacity);

    /// <summary>The features behind the last norm, [batch, seq, hidden].</summary>
    private protected abstract Tensor Hidden(Tensor ids, Tensor? mask, KeyValueCache? cache, Tensor? positions);

    /// <summary>The scores of features, [.., vocabulary].</summary>
    private protected abstract Tensor Logits(Tensor hidden);

    /// <summary>The loss of features [batch, seq, hidden], without a tensor of all scores where that can be had.</summary>
    private protected abstract Tensor HiddenLoss(Tensor hidden, Tensor targets);

    private protected void CheckSequence(Tensor ids, KeyValueCache? cache)
    {
        Check.HasRank(GetType().Name, ids, 2);
        Check.Shapes(cache is null || cache.Batch == ids.Shape[0], $"{GetType().Name}: ids {ids.Shape} for a cache of {cache?.Batch} sequences");
        long end = (cache?.Length ?? 0) + (long)ids.Shape[1], most = Math.Min(Config.MaxPositionEmbeddings, cache?.Capacity ?? int.MaxValue);
        string limit = most < Config.MaxPositionEmbeddings ? "cache" : "context";
        Check.Shapes(end <= most, $"{GetType().Name}: {end} tokens are more than the {limit} of {most} holds");
    }
}
