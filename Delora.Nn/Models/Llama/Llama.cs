using System.Globalization;
using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Llama (Touvron et al., arXiv 2302.13971, and its successors): token embedding, layers of attention and feed-forward part with a norm in
/// front of each, a last norm, scores of the vocabulary. Modules have the names that transformers gives them.
/// </summary>
public sealed class LlamaForCausalLM : CausalLanguageModel
{
    private readonly LlamaModel _model;
    private readonly Linear _head;

    private LlamaForCausalLM(LlamaConfig config, Device device, WeightSource weights) : base(device)
    {
        Config = config;
        if (config.TieWordEmbeddings)
        {
            _head = weights.TiedOutput("model.embed_tokens.weight");
            _model = new LlamaModel(config, new Embedding(_head), device, weights.Within("model"));
        }
        else
        {
            _head = weights.Linear("lm_head", isOutput: true);
            _model = new LlamaModel(config, new Embedding(weights.Take("model.embed_tokens.weight")), device, weights.Within("model"));
        }
        Register("model", _model);
        Register("lm_head", _head);
    }

    /// <inheritdoc/>
    public override LlamaConfig Config { get; }

    /// <inheritdoc/>
    public override TargetOptions Targets { get; } = new() { DefaultTargets = (string[])["q_proj", "v_proj"], OutputModule = "lm_head" };

    /// <summary>A model with new weights: normal with the configuration's standard deviation, norms of ones, biases of zeros.</summary>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public static LlamaForCausalLM Create(LlamaConfig config, Device device, Generator generator)
    {
        using var scope = new TensorScope("create model");
        return new LlamaForCausalLM(config, device, WeightSource.Gather(config.TensorShapes(), Make));

        Tensor Make(string name, Shape shape) =>
            shape.Rank == 2 ? Initialization.Normal(shape, config.InitializerRange, device, generator, name)
            : name.EndsWith("bias", StringComparison.Ordinal) ? Tensor.Zeros(shape, device.FloatType, device, name)
            : Tensor.From(Enumerable.Repeat(1f, shape[0]).ToArray(), shape, device, name);
    }

    /// <inheritdoc/>
    public override KeyValueCache CreateCache(int batch, int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, Config.MaxPositionEmbeddings);
        return new KeyValueCache(Config.NumHiddenLayers, batch, capacity, Config.KeyValueHeads, Config.HeadSize, Device);
    }

    /// <summary>Reads a model from open files; it is frozen.</summary>
    internal static LlamaForCausalLM Load(LlamaConfig config, WeightFiles files, Device device)
    {
        IReadOnlyDictionary<string, Shape> shapes = config.TensorShapes();
        // Early exporters saved the rotary frequencies, and some save a tied output layer.
        files.Check(shapes, name => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal)
            || (config.TieWordEmbeddings && name == "lm_head.weight"));
        return WeightSource.Load(shapes, files, device, weights => new LlamaForCausalLM(config, device, weights));
    }

    private protected override Tensor Hidden(Tensor ids, Tensor? mask, KeyValueCache? cache, Tensor? positions)
    {
        CheckSequence(ids, cache);
        return _model.Forward(ids, mask, cache, positions);               // [batch, seq, hidden]
    }

    private protected override Tensor Logits(Tensor hidden) => _head.Forward(hidden);    // [.., vocabulary]

    private protected override Tensor HiddenLoss(Tensor hidden, Tensor targets) => _head.CrossEntropy(hidden, targets);    // []
}

/// <summary>The layers, without the scores of the vocabulary.</summary>
internal sealed class LlamaModel : Module
{
    private readonly Embedding _embedding;
    private readonly LlamaDecoderLayer[] _layers;
    private readonly RmsNorm _norm;
    private readonly RotaryTable _rotary;

    internal LlamaModel(LlamaConfig config, Embedding embedding, Device device, WeightSource weights)
    {
        _rotary = weights.Freed(new RotaryTable(config.MaxPositionEmbeddings, config.HeadSize, config.RopeTheta, device));
        _embedding = Register("embed_tokens", embedding);
        _layers = new LlamaDecoderLayer[config.NumHiddenLayers];
        var layers = Register("layers", new ModuleList());
        for (int i = 0; i < _layers.Length; i++)
        {
            string number = i.ToString(CultureInfo.InvariantCulture);
            _layers[i] = layers.Add(new LlamaDecoderLayer(config, i, _rotary, weights.Within($"layers.{number}")));
        }
        _norm = Register("norm", new RmsNorm(weights.Take("norm.weight"), config.RmsNormEps));
    }

    internal Tensor Forward(Tensor ids, Tensor? mask, KeyValueCache? cache, Tensor? positions)
    {
        Tensor x = _embedding.Forward(ids);                               // [batch, seq, hidden]
        foreach (LlamaDecoderLayer layer in _layers) x = layer.Forward(x, mask, cache, positions);
        return _norm.Forward(x);
    }

    protected override void DisposeOwn()
    {
        base.DisposeOwn();
        _rotary.Dispose();
    }
}

/// <summary>x + attention(norm(x)), then x + feed-forward(norm(x)).</summary>
internal sealed class LlamaDecoderLayer : Module
{
    private readonly LlamaAttention _attention;
    private readonly LlamaMlp _mlp;
    private readonly RmsNorm _inputNorm, _attentionNorm;

    internal LlamaDecoderLayer(LlamaConfig config, int number, RotaryTable rotary, WeightSource weights)
    {
        _attention = Register("self_attn", new LlamaAttention(config, number, rotary, weights.Within("self_attn")));
        _mlp = Register("mlp", new LlamaMlp(weights.Within("mlp")));
        _inputNorm = Register("input_layernorm", new RmsNorm(weights.Take("input_layernorm.weight"), config.RmsNormEps));
        _attentionNorm = Register(
            "post_attention_layernorm", new RmsNorm(weights.Take("post_attention_layernorm.weight"), config.RmsNormEps));
    }

    internal Tensor Forward(Tensor x, Tensor? mask, KeyValueCache? cache, Tensor? positions)
    {
        x = x.Add(_attention.Forward(_inputNorm.Forward(x), mask, cache, positions));    // [batch, seq, hidden]
        return x.Add(_mlp.Forward(_attentionNorm.Forward(x)));
    }
}

/// <summary>Causal attention with rotary positions; several query heads share a head of keys and values.</summary>
internal sealed class LlamaAttention : Module
{
    private readonly Linear _query, _key, _value, _output;
    private readonly LlamaConfig _config;
    private readonly RotaryTable _rotary;
    private readonly int _layer;

    internal LlamaAttention(LlamaConfig config, int layer, RotaryTable rotary, WeightSource weights)
    {
        (_config, _layer, _rotary) = (config, layer, rotary);
        _query = Register("q_proj", weights.Linear("q_proj"));
        _key = Register("k_proj", weights.Linear("k_proj"));
        _value = Register("v_proj", weights.Linear("v_proj"));
        _output = Register("o_proj", weights.Linear("o_proj"));
    }

    internal Tensor Forward(Tensor x, Tensor? mask, KeyValueCache? cache, Tensor? positions)
    {
        int batch = x.Shape[0], seq = x.Shape[1], dim = _config.HeadSize, heads = _config.NumAttentionHeads, shared = _config.KeyValueHeads;
        int end = (cache?.Length ?? 0) + seq;
        Tensor query = _query.Forward(x).Reshape([batch, seq, heads, dim]);
        Tensor key = _key.Forward(x).Reshape([batch, seq, shared, dim]);
        Tensor value = _value.Forward(x).Reshape([batch, seq, shared, dim]);
        query = _rotary.Apply(query, positions, end);
        key = _rotary.Apply(key, positions, end);
        if (cache is not null) (key, value) = cache.Write(_layer, key, value);           // [batch, capacity, shared, dim]
        Tensor y = query.Attention(key, value, mask, causal: true, keys: end);           // [batch, seq, heads, dim]
        return _output.Forward(y.Reshape([batch, seq, heads * dim]));                    // [batch, seq, hidden]
    }
}

/// <summary>down(silu(gate(x)) ∘ up(x)): SwiGLU (Shazeer, arXiv 2002.05202).</summary>
internal sealed class LlamaMlp : Module
{
    private readonly Linear _gate, _up, _down;

    internal LlamaMlp(WeightSource weights)
    {
        _gate = Register("gate_proj", weights.Linear("gate_proj"));
        _up = Register("up_proj", weights.Linear("up_proj"));
        _down = Register("down_proj", weights.Linear("down_proj"));
    }

    internal Tensor Forward(Tensor x) => _down.Forward(_gate.Forward(x).SwiGlu(_up.Forward(x)));
}
