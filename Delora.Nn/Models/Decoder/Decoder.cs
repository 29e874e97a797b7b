using System.Globalization;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// The decoder that Llama (Touvron et al., arXiv 2302.13971) made common: token embedding, layers of attention and feed-forward part with a
/// norm in front of each, a last norm, scores of the vocabulary. Modules have the names that transformers gives them.
/// </summary>
/// <remarks>
/// Written once for all families of this shape. They differ in biases, in norms of the heads, in which layers see a window only, in the
/// rotary frequencies, in the activation, in the offset of norms and the scale of embeddings, and in defaults: properties of
/// <see cref="DecoderConfig"/>, each asked at one place here. A copy for each family, as in transformers, would be the same two hundred
/// lines, and a mistake would be corrected in one of them.
/// </remarks>
public abstract class DecoderForCausalLM : CausalLanguageModel
{
    private readonly DecoderConfig _config;
    private readonly DecoderModel _model;
    private readonly Linear _head;

    private protected DecoderForCausalLM(DecoderConfig config, Device device, WeightSource weights) : base(device)
    {
        _config = config;
        if (config.TieWordEmbeddings)
        {
            _head = weights.TiedOutput("model.embed_tokens.weight");
            _model = new DecoderModel(config, new Embedding(_head), device, weights.Within("model"));
        }
        else
        {
            _head = weights.Linear("lm_head", isOutput: true);
            _model = new DecoderModel(config, new Embedding(weights.Take("model.embed_tokens.weight")), device, weights.Within("model"));
        }
        Register("model", _model);
        Register("lm_head", _head);
    }

    /// <inheritdoc/>
    public override TargetOptions Targets { get; } = new() { DefaultTargets = (string[])["q_proj", "v_proj"], OutputModule = "lm_head" };

    /// <inheritdoc/>
    public override KeyValueCache CreateCache(int batch, int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, _config.MaxPositionEmbeddings);
        return new KeyValueCache(_config.NumHiddenLayers, batch, capacity, _config.KeyValueHeads, _config.HeadSize, Device);
    }

    /// <summary>A model with new weights: normal with the configuration's standard deviation, norms that only norm, biases of zeros.</summary>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    internal static DecoderForCausalLM New(DecoderConfig config, Device device, Generator generator)
    {
        using var scope = new TensorScope("create model");
        return config.Build(device, WeightSource.Gather(config.TensorShapes(), Make));

        Tensor Make(string name, Shape shape)
        {
            if (shape.Rank == 2) return Initialization.Normal(shape, config.InitializerRange, device, generator, name);
            double value = name.EndsWith("bias", StringComparison.Ordinal) ? 0 : 1 - config.NormOffset;
            return Tensor.From(Enumerable.Repeat(value, shape[0]).ToArray(), shape, device, name);
        }
    }

    /// <summary>Reads a model from open files; it is frozen.</summary>
    internal static DecoderForCausalLM Load(DecoderConfig config, WeightFiles files, Device device)
    {
        IReadOnlyDictionary<string, Shape> shapes = config.TensorShapes();
        // Early exporters saved the rotary frequencies, and some save a tied output layer.
        files.Check(shapes, name => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal)
            || (config.TieWordEmbeddings && name == "lm_head.weight"));
        return WeightSource.Load(shapes, files, device, weights => config.Build(device, weights));
    }

    private protected override Tensor Hidden(Tensor ids, Tensor? mask, KeyValueCache? cache, Tensor? positions)
    {
        CheckSequence(ids, cache);
        int end = (cache?.Length ?? 0) + ids.Shape[1];
        if (positions is not null)
        {
            Check.HasShape(GetType().Name, positions, ids.Shape);
            // Read once for all layers. What is no position at all, each layer's kernel refuses.
            end = Math.Clamp(positions.ToArray<int>().DefaultIfEmpty().Max(), 0, _config.MaxPositionEmbeddings - 1) + 1;
        }
        return _model.Forward(ids, mask, cache, new(positions, end), Checkpointing ? this : null);    // [batch, seq, hidden]
    }

    private protected override Tensor Logits(Tensor hidden) => _head.Forward(hidden);    // [.., vocabulary]

    private protected override Tensor HiddenLoss(Tensor hidden, Tensor targets) => _head.CrossEntropy(hidden, targets);    // []
}

/// <summary>The layers, without the scores of the vocabulary.</summary>
internal sealed class DecoderModel : Module
{
    private readonly Embedding _embedding;
    private readonly DecoderLayer[] _layers;
    private readonly RmsNorm _norm;
    private readonly RotaryTable _rotary;
    private readonly double _scale;

    internal DecoderModel(DecoderConfig config, Embedding embedding, Device device, WeightSource weights)
    {
        _rotary = weights.Freed(new RotaryTable(
            config.MaxPositionEmbeddings, config.RotaryFrequencies(), (float)config.RotaryFactor(), device));
        _scale = config.EmbeddingScale;
        _embedding = Register("embed_tokens", embedding);
        _layers = new DecoderLayer[config.NumHiddenLayers];
        var layers = Register("layers", new ModuleList());
        for (int i = 0; i < _layers.Length; i++)
        {
            string number = i.ToString(CultureInfo.InvariantCulture);
            _layers[i] = layers.Add(new DecoderLayer(config, i, _rotary, weights.Within($"layers.{number}")));
        }
        _norm = Register("norm", weights.RmsNorm("norm", config.RmsNormEps, config.NormOffset));
    }

    internal Tensor Forward(Tensor ids, Tensor? mask, KeyValueCache? cache, RotaryPositions positions, PretrainedModel? checkpointed)
    {
        Tensor x = _embedding.Forward(ids);                               // [batch, seq, hidden]
        if (_scale != 1) x = x.Scale(_scale);
        foreach (DecoderLayer layer in _layers)
            x = LayerCheckpoint.Run(x, checkpointed, h => layer.Forward(h, mask, cache, positions));
        return _norm.Forward(x);
    }

    protected override void DisposeOwn()
    {
        base.DisposeOwn();
        _rotary.Dispose();
    }
}

/// <summary>x + attention(norm(x)), then x + feed-forward(norm(x)).</summary>
internal sealed class DecoderLayer : Module
{
    private readonly DecoderAttention _attention;
    private readonly DecoderMlp _mlp;
    private readonly RmsNorm _inputNorm, _attentionNorm;

    internal DecoderLayer(DecoderConfig config, int number, RotaryTable rotary, WeightSource weights)
    {
        _attention = Register("self_attn", new DecoderAttention(config, number, rotary, weights.Within("self_attn")));
        _mlp = Register("mlp", new DecoderMlp(config, weights.Within("mlp")));
        _inputNorm = Register("input_layernorm", weights.RmsNorm("input_layernorm", config.RmsNormEps, config.NormOffset));
        _attentionNorm = Register("post_attention_layernorm", weights.RmsNorm("post_attention_layernorm", config.RmsNormEps, config.NormOffset));
    }

    internal Tensor Forward(Tensor x, Tensor? mask, KeyValueCache? cache, RotaryPositions positions)
    {
        x = _attention.Forward(_inputNorm.Forward(x), mask, cache, positions, x);    // [batch, seq, hidden]
        return _mlp.Forward(_attentionNorm.Forward(x), x);
    }
}

/// <summary>
/// Causal attention with rotary positions, and what goes around it; several query heads share a head of keys and values. Qwen3 norms each head of
/// queries and keys before it is turned; in a layer with a window only the nearest keys are seen.
/// </summary>
internal sealed class DecoderAttention : Module
{
    private readonly Linear _query, _key, _value, _output;
    private readonly RmsNorm? _queryNorm, _keyNorm;
    private readonly DecoderConfig _config;
    private readonly RotaryTable _rotary;
    private readonly int _layer;
    private readonly int? _window;

    internal DecoderAttention(DecoderConfig config, int layer, RotaryTable rotary, WeightSource weights)
    {
        (_config, _layer, _window, _rotary) = (config, layer, config.WindowOf(layer), rotary);
        _query = Register("q_proj", weights.Linear("q_proj"));
        _key = Register("k_proj", weights.Linear("k_proj"));
        _value = Register("v_proj", weights.Linear("v_proj"));
        _output = Register("o_proj", weights.Linear("o_proj"));
        if (!config.HasHeadNorms) return;
        _queryNorm = Register("q_norm", weights.RmsNorm("q_norm", config.RmsNormEps, config.NormOffset));
        _keyNorm = Register("k_norm", weights.RmsNorm("k_norm", config.RmsNormEps, config.NormOffset));
    }

    internal Tensor Forward(Tensor x, Tensor? mask, KeyValueCache? cache, RotaryPositions positions, Tensor around)
    {
        int batch = x.Shape[0], seq = x.Shape[1], dim = _config.HeadSize, heads = _config.NumAttentionHeads, shared = _config.KeyValueHeads;
        int end = (cache?.Length ?? 0) + seq;
        Tensor query = _query.Forward(x).Reshape([batch, seq, heads, dim]);
        Tensor key = _key.Forward(x).Reshape([batch, seq, shared, dim]);
        Tensor value = _value.Forward(x).Reshape([batch, seq, shared, dim]);
        if (_queryNorm is not null) query = _queryNorm.Forward(query);                  // each head by itself
        if (_keyNorm is not null) key = _keyNorm.Forward(key);
        query = _rotary.Apply(query, positions.Ids, positions.End);
        key = _rotary.Apply(key, positions.Ids, positions.End);
        if (cache is not null) (key, value) = cache.Write(_layer, key, value);           // [batch, capacity, shared, dim]
        Tensor y = query.Attention(key, value, mask, causal: true, keys: end, window: _window);    // [batch, seq, heads, dim]
        return _output.Forward(y.Reshape([batch, seq, heads * dim]), ActivationKind.None, around);    // [batch, seq, hidden]
    }
}

/// <summary>down(activation(gate(x)) ∘ up(x)) and what goes around it: SwiGLU with silu, GEGLU with gelu (Shazeer, arXiv 2002.05202).</summary>
internal sealed class DecoderMlp : Module
{
    private readonly Linear _gate, _up, _down;
    private readonly string _activation;

    internal DecoderMlp(DecoderConfig config, WeightSource weights)
    {
        _activation = config.Activation;
        _gate = Register("gate_proj", weights.Linear("gate_proj"));
        _up = Register("up_proj", weights.Linear("up_proj"));
        _down = Register("down_proj", weights.Linear("down_proj"));
    }

    internal Tensor Forward(Tensor x, Tensor around)
    {
        bool isSwiGlu = _activation == DecoderConfig.Silu;
        Tensor gate = _gate.Forward(x, isSwiGlu ? ActivationKind.None : HiddenActivation.Of(_activation));
        Tensor up = _up.Forward(x);                                       // [batch, seq, intermediate]
        return _down.Forward(isSwiGlu ? gate.SwiGlu(up) : gate.Multiply(up), ActivationKind.None, around);
    }
}
